//! An offline Blue Button.
mod claims;
pub mod people;
pub mod records;
