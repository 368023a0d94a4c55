//! Labels against recorded files.

mod shipped;
