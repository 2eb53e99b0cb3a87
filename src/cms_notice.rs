//! The notice that CMS's terms require, word for word.

/// "Attribution" in CMS's terms of service asks for this sentence "prominently within the application". It must be
/// shown unchanged.
pub(crate) const CMS_NOTICE: &str = "This product uses the Blue Button APIs but is not endorsed or certified by the \
    Centers for Medicare & Medicaid Services or the U.S. Department of Health and Human Services.";
