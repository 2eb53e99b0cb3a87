//! What came back, as text with known places in it. Nothing is re-serialised.

pub mod bundle;
pub mod resource;
