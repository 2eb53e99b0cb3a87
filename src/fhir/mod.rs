//! Cuts Bundles into resources, byte for byte as the server wrote them.

pub mod bundle;
pub mod resource;
