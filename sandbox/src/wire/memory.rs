//! Bounds on the memory that the decoders take.
//!
//! The decoders' own tests check that nothing panics. Here every frame, sound, damaged or made up, is decoded while
//! the thread's allocations are counted, and may take only so much for each of its bytes.

/// Does `work`. Answers its result, and the most bytes that it held at one time, with the result.
///
/// Only the calling thread's allocations are counted, so tests that run beside this one do not matter. A block that
/// grows also counts with its old size, until it has moved.
pub(crate) fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let mut done = None;
    let counted = allocation_counter::measure(|| done = Some(work()));
    let most = usize::try_from(counted.bytes_max).expect("it fits into memory");
    (done.expect("the work is done"), most)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wacore_binary::builder::NodeBuilder;
    use wacore_binary::{Node, token};

    use super::super::corpus::{self, Damage};
    use super::super::{COMPRESSED, decode, encode, guard, tests::deflated};
    use super::peak;
    use crate::server::frames;

    /// What a frame may take for each of its bytes: a node of three bytes exists twice, borrowed from the frame and
    /// owned.
    const FOR_A_BYTE: usize = 64;

    /// What any frame may take besides, as for the words of an error.
    const BESIDES: usize = 1024;

    /// What unpacking takes besides, most of which the thread keeps for the next time.
    const FOR_UNPACKING: usize = 128 * 1024;

    /// What one frame takes at the very most: five times the longest that a client may send.
    const AT_MOST: usize = 5 * frames::LIMIT;

    /// A frame of the corpus, damaged.
    fn damaged(which: prop::sample::Index, damage: &[Damage]) -> Vec<u8> {
        let mut frame = which.get(&corpus::frames()).clone();
        for blow in damage {
            blow.apply(&mut frame);
        }
        frame
    }

    /// The most that an uncompressed or unpacked frame may take.
    fn bound(frame: &[u8]) -> usize {
        FOR_A_BYTE * frame.len() + BESIDES
    }

    /// The same frame compressed.
    fn packed(frame: &[u8]) -> Vec<u8> {
        let mut packed = vec![COMPRESSED];
        packed.extend(deflated(&frame[1..]));
        packed
    }

    proptest! {
        #[test]
        fn made_up_bytes_take_little(mut plaintext in proptest::collection::vec(any::<u8>(), 1..600)) {
            plaintext[0] &= !COMPRESSED;
            let (_, most) = peak(|| decode(&plaintext));
            prop_assert!(most <= bound(&plaintext), "{most} bytes for {}", plaintext.len());
        }

        #[test]
        fn damaged_stanzas_take_little(which: prop::sample::Index, damage in corpus::damage()) {
            let mut frame = damaged(which, &damage);
            if let Some(flags) = frame.first_mut() {
                *flags &= !COMPRESSED;
            }
            let (_, most) = peak(|| decode(&frame));
            prop_assert!(most <= bound(&frame), "{most} bytes for {}", frame.len());
        }

        #[test]
        fn damaged_stanzas_that_come_packed_take_little(
            which: prop::sample::Index,
            damage in corpus::damage(),
            late in corpus::damage(),
        ) {
            let frame = damaged(which, &damage);
            prop_assume!(!frame.is_empty());
            let sound = packed(&frame);
            let (_, most) = peak(|| decode(&sound));
            prop_assert!(most <= bound(&frame) + FOR_UNPACKING, "{most} bytes for {}", frame.len());
            // What does not unpack is not looked at.
            let mut broken = sound;
            for blow in &late {
                blow.apply(&mut broken);
            }
            let (_, most) = peak(|| decode(&broken));
            prop_assert!(most <= AT_MOST, "{most} bytes for {}", broken.len());
        }

        #[test]
        fn looking_takes_nothing(which: prop::sample::Index, damage in corpus::damage()) {
            let frame = damaged(which, &damage);
            let (_, most) = peak(|| guard::check(frame.get(1..).unwrap_or_default()).is_ok());
            prop_assert_eq!(most, 0);
        }
    }

    #[test]
    fn the_corpus_takes_little() {
        for frame in corpus::frames() {
            let (decoded, most) = peak(|| decode(&frame));
            assert!(decoded.is_ok());
            assert!(most <= bound(&frame), "{most} bytes for {}", frame.len());
        }
    }

    #[test]
    fn what_is_only_announced_takes_nothing() {
        // 65,535 children, of which none is there; the same of bytes, and of attributes.
        for frame in [
            vec![0, token::LIST_8, 2, 5, token::LIST_16, 0xff, 0xff],
            vec![0, token::LIST_8, 2, 5, token::BINARY_32, 0x7f, 0xff, 0xff, 0xff],
            vec![0, token::LIST_16, 0xff, 0xff, 5],
        ] {
            let (decoded, most) = peak(|| decode(&frame));
            assert!(decoded.is_err() && most <= BESIDES, "{most} bytes for {frame:?}");
        }
    }

    #[test]
    fn the_worst_that_a_client_may_send_has_a_bound() {
        let leaf = || NodeBuilder::new("x").build();
        let named = || NodeBuilder::new("x").attr("id", "1").build();
        let ballast = NodeBuilder::new("x").bytes(vec![7; 3 << 20]).build();
        let all = |children: Vec<Node>| NodeBuilder::new("x").children(children).build();
        for node in [
            all((0..60_000).map(|_| leaf()).collect()),
            all((0..49_999).map(|_| named()).collect()),
            all((0..49_998).map(|_| named()).chain([ballast]).collect()),
            NodeBuilder::new("x").bytes(vec![7; (4 << 20) - 16]).build(),
        ] {
            let frame = encode(&node).expect("it encodes");
            assert!(frame.len() <= frames::LIMIT, "{} bytes", frame.len());
            let (decoded, most) = peak(|| decode(&frame));
            assert!(decoded.is_ok(), "as large as may be, and no larger");
            assert!(most <= AT_MOST, "{most} bytes for {}", frame.len());
            let packed = packed(&frame);
            let (_, most) = peak(|| decode(&packed));
            assert!(most <= 2 * AT_MOST, "{most} bytes for {} packed", packed.len());
        }
        // Of one that unpacks to more than may be, no more than that is held.
        let bomb = packed(&vec![0; 64 << 20]);
        let (decoded, most) = peak(|| decode(&bomb));
        assert!(
            decoded.is_err() && most <= AT_MOST,
            "{most} bytes for {}",
            bomb.len()
        );
    }

    #[test]
    fn the_most_that_is_held_counts_and_not_the_sum() {
        let (kept, most) = peak(|| {
            drop(vec![0_u8; 50_000]);
            let kept = vec![0_u8; 1_000];
            drop(vec![0_u8; 60_000]);
            kept
        });
        assert_eq!((kept.len(), most), (1_000, 61_000));
        assert_eq!(peak(|| [0_u8; 100]).1, 0, "the stack is not memory that is taken");
    }
}
