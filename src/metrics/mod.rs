//! Names, help and types of every family; snapshot -> Prometheus text. Pure: knows nothing of sockets or clocks.
