//! Wiring: Config -> running App; reload; stop. The only module that sees everything.
