//! Many small values in one entry: a list of keys and values, each preceded by its length.

use std::collections::BTreeMap;

use wacore::store::error::StoreError;

use super::corrupt;

/// The values of one entry by their keys.
pub type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// The form below. Another form gets another number.
const VERSION: u8 = 1;

/// The version, then for each pair the key's length (2 bytes, big-endian), the key, the
/// value's length (4 bytes), the value.
pub fn encode(pairs: &Pairs) -> Result<Vec<u8>, StoreError> {
    let length: usize = pairs.iter().map(|(key, value)| 6 + key.len() + value.len()).sum();
    let mut bytes = Vec::with_capacity(1 + length);
    bytes.push(VERSION);
    for (key, value) in pairs {
        let key_length = u16::try_from(key.len()).map_err(|_| corrupt("key"))?;
        let value_length = u32::try_from(value.len()).map_err(|_| corrupt("value"))?;
        bytes.extend_from_slice(&key_length.to_be_bytes());
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(&value_length.to_be_bytes());
        bytes.extend_from_slice(value);
    }
    Ok(bytes)
}

/// What [`encode`] made.
pub fn decode(bytes: &[u8]) -> Result<Pairs, StoreError> {
    let Some((&VERSION, mut rest)) = bytes.split_first() else {
        return Err(corrupt("list"));
    };
    let mut pairs = Pairs::new();
    while !rest.is_empty() {
        let pair = read_pair(rest).ok_or_else(|| corrupt("list"))?;
        pairs.insert(pair.0.to_vec(), pair.1.to_vec());
        rest = pair.2;
    }
    Ok(pairs)
}

fn read_pair(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (key, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let (length, rest) = rest.split_first_chunk()?;
    let (value, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    Some((key, value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_back_and_torn_ones_refused() {
        let pairs = Pairs::from([
            (vec![], vec![1, 2]),
            (b"key".to_vec(), vec![]),
            (vec![9; 300], vec![7; 70_000]),
        ]);
        let bytes = encode(&pairs).expect("encoded");
        assert_eq!(decode(&bytes).expect("decoded"), pairs);
        assert!(decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(decode(&[]).is_err());
        assert!(decode(&[2]).is_err());
        assert!(
            decode(&encode(&Pairs::new()).expect("encoded"))
                .expect("decoded")
                .is_empty()
        );
    }
}
