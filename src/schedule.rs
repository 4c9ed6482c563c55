//! When to run: one clock a target, starts spread over the interval, no drift, missed ticks skipped and counted.
