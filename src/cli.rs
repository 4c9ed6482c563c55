//! The flags, and nothing else.
