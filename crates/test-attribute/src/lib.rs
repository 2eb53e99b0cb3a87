//! The `#[test]` of bbdl's integration tests. The compiler's own attribute must know at compile time which tests to
//! ignore, but these tests find out at run time which programs are missing. So they run in their own harness
//! (`tests/support/harness.rs`), and this attribute registers them there.

use proc_macro::{TokenStream, TokenTree};

/// Keeps the function unchanged and registers it with the harness, which also runs `async` ones.
#[proc_macro_attribute]
pub fn test(_: TokenStream, function: TokenStream) -> TokenStream {
    let is = |word: &TokenTree, text: &str| matches!(word, TokenTree::Ident(word) if word.to_string() == text);
    let mut words = function.clone().into_iter();
    let is_async = words.by_ref().take_while(|word| !is(word, "fn")).any(|word| is(&word, "async"));
    if is_async {
        // Up to and including `fn`.
        words.find(|word| is(word, "fn"));
    }
    let Some(TokenTree::Ident(name)) = words.next() else {
        return "compile_error!(\"this attribute is for functions\");".parse().unwrap_or_default();
    };
    let run = if is_async { format!("|| crate::support::harness::block_on({name}())") } else { name.to_string() };
    let registered: TokenStream = format!(
        "::inventory::submit! {{
            crate::support::harness::Test {{ name: concat!(module_path!(), \"::{name}\"), run: {run} }}
        }}"
    )
    .parse()
    .unwrap_or_default();
    function.into_iter().chain(registered).collect()
}
