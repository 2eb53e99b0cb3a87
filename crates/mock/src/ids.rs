//! Random words and ids, and ids that are the same in every run.

use super::rng::Rng;

/// Letters and digits from the operating system's randomness.
pub(super) fn word(length: usize) -> String {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    // The largest multiple of 62 in a byte. Larger bytes would make some letters more likely than others.
    const EVEN: u8 = 248;
    let mut word = String::with_capacity(length);
    let mut bytes = [0; 64];
    while word.len() < length {
        // Without randomness, the mock hands out the same word each time. Nothing worse happens.
        let _ = getrandom::fill(&mut bytes);
        let letters = bytes.iter().filter(|byte| **byte < EVEN).map(|byte| char::from(LETTERS[usize::from(byte % 62)]));
        word.extend(letters.take(length - word.len()));
    }
    word
}

/// A random UUID (version 4).
pub(super) fn uuid() -> String {
    let mut bytes = [0u8; 16];
    let _ = getrandom::fill(&mut bytes);
    uuid_of(bytes)
}

/// A UUID that is the same for the same numbers.
pub(super) fn lasting_uuid(parts: &[u64]) -> String {
    uuid_of(lasting_number(parts).to_be_bytes())
}

/// The number in a [`lasting_uuid`]. It is quicker to compare than the text.
pub(super) fn lasting_number(parts: &[u64]) -> u128 {
    let mut rng = Rng::at(parts);
    let (high, low) = (rng.next(), rng.next());
    u128::from_be_bytes(of_version_4((u128::from(high) << 64 | u128::from(low)).to_be_bytes()))
}

/// The number of a UUID in the form that this mock writes; none for any other text.
pub(super) fn uuid_number(text: &str) -> Option<u128> {
    let number = u128::from_str_radix(&text.replace('-', ""), 16).ok()?;
    (uuid_of(number.to_be_bytes()) == text).then_some(number)
}

/// Two hexadecimal digits per byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn of_version_4(mut bytes: [u8; 16]) -> [u8; 16] {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}

fn uuid_of(bytes: [u8; 16]) -> String {
    let hex = hex(&of_version_4(bytes));
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn words_are_letters_and_digits_of_every_kind() {
        let words: BTreeSet<String> = (0..100).map(|_| word(100)).collect();
        assert_eq!(words.len(), 100);
        let letters: BTreeSet<u8> = words.iter().flat_map(|word| word.bytes()).collect();
        assert!(letters.len() == 62 && letters.iter().all(u8::is_ascii_alphanumeric), "{letters:?}");
        assert!(words.iter().all(|word| word.len() == 100) && word(0).is_empty());
    }
}
