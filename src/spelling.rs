//! The name that a person probably meant.

/// The one of `known` whose `name` is most similar to what was typed, ignoring upper and lower case; `None` if none
/// is similar. The shorter the name, the fewer letters may be wrong: `mom` is not a mistyped `dad`.
pub(crate) fn nearest<T: Ord>(
    typed: &str,
    known: impl IntoIterator<Item = T>,
    name: impl Fn(&T) -> String,
) -> Option<T> {
    /// How many letters may differ at most, in a name of any length.
    const MOST: usize = 3;
    let most = MOST.min(typed.chars().count() / 3);
    let typed = typed.to_lowercase();
    let far = |it: &T| strsim::damerau_levenshtein(&typed, &name(it).to_lowercase());
    let near = known.into_iter().map(|it| (far(&it), it)).filter(|(distance, _)| *distance <= most);
    near.min().map(|(_, it)| it)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_short_name_may_differ_by_fewer_letters() {
        let meant = |typed| nearest(typed, ["dad", "mum", "grandma", "claims"], |name| (*name).to_owned());
        assert_eq!(meant("mom"), Some("mum"));
        assert_eq!(meant("bob"), None);
        assert_eq!(meant("DAD"), Some("dad"));
        assert_eq!(meant("da"), None);
        assert_eq!(meant("grnadmaa"), Some("grandma"));
        assert_eq!(meant("granny"), None);
        assert_eq!(meant("claim"), Some("claims"));
    }
}
