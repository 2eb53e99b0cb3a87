//! An offline Blue Button.
pub mod records;
