//! `X-Forwarded-For`: where a request comes from that passed proxies.

use std::net::IpAddr;

/// The address that the first of the trusted proxies saw, by the header's lines in their order. Each proxy adds an address
/// at the right end; anybody may have written what stands left of theirs. `None` where the header tells of no such address.
pub fn first_trusted<'a, I>(lines: I, trusted_proxies: usize) -> Option<IpAddr>
where
    I: IntoIterator<Item = &'a [u8]>,
    I::IntoIter: DoubleEndedIterator,
{
    let mut from_the_right = lines
        .into_iter()
        .rev()
        .flat_map(|line| line.rsplit(|byte| *byte == b','));
    let address = from_the_right.nth(trusted_proxies.checked_sub(1)?)?;
    std::str::from_utf8(address).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusted_proxies_count_from_the_right() {
        let seen = |trusted| {
            let lines: [&[u8]; 2] = [b"198.51.100.1, 198.51.100.2", b"2001:db8::3"];
            first_trusted(lines, trusted).map(|address| address.to_string())
        };
        assert_eq!(seen(0), None);
        assert_eq!(seen(1).as_deref(), Some("2001:db8::3"));
        assert_eq!(seen(2).as_deref(), Some("198.51.100.2"));
        assert_eq!(seen(4), None);
    }
}
