use std::io::Read;

use proptest::prelude::*;

use super::*;

/// `bytes` in blocks of `length` as one gzip member.
fn gzipped(bytes: &[u8], length: usize) -> Vec<u8> {
    let mut member = crate::io::nifti::gzip::HEADER.to_vec();
    for part in bytes.chunks(length) {
        let mut encoded = Vec::new();
        let length = encode_block(part, &mut encoded);
        member.extend(&encoded[..length]);
    }
    member.extend(LAST_BLOCK);
    member.extend(libdeflater::crc32(bytes).to_le_bytes());
    member.extend((bytes.len() as u32).to_le_bytes());
    member
}

/// Two decoders that are not ours read the same bytes.
fn check(bytes: &[u8], length: usize) -> Vec<u8> {
    let member = gzipped(bytes, length);
    let mut whole = vec![0; bytes.len()];
    let n = libdeflater::Decompressor::new().gzip_decompress(&member, &mut whole).unwrap();
    assert!(n == bytes.len() && whole == bytes, "libdeflate");
    let mut streamed = Vec::new();
    flate2::read::GzDecoder::new(&member[..]).read_to_end(&mut streamed).unwrap();
    assert!(streamed == bytes, "zlib");
    member
}

#[test]
fn every_length_and_every_run_comes_back() {
    check(&[], 1);
    for n in 0..700 {
        let rising: Vec<u8> = (0..n).map(|i| (i * 37) as u8).collect();
        check(&rising, 100);
        check(&vec![7; n], 1 << 16);
        let runs: Vec<u8> = (0..8 * n).map(|i| (i / (8 + n)) as u8).collect();
        check(&runs, 1 << 16);
    }
}

#[test]
fn long_runs_are_short_and_noise_hardly_grows() {
    for period in [1, 2, 4, 8] {
        let constant: Vec<u8> = (0..1 << 20).map(|i| (i % period) as u8 * 3).collect();
        assert!(check(&constant, 1 << 16).len() < constant.len() / 200);
    }
    let noise: Vec<u8> =
        (0..1_u32 << 18).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    assert!(check(&noise, 1 << 16).len() < noise.len() / 100 * 101);
}

#[test]
fn bytes_that_were_not_counted_have_codes_all_the_same() {
    // One word of four is counted: the others hold what it does not.
    let hidden: Vec<u8> = (0..1 << 14)
        .map(|i: usize| if (i / 8).is_multiple_of(4) { (i % 8) as u8 } else { (i % 251) as u8 })
        .collect();
    check(&hidden, 1 << 16);
}

#[test]
fn counts_like_fibonacci_numbers_keep_codes_short() {
    let mut bytes = Vec::new();
    let (mut a, mut b) = (1_usize, 1);
    for symbol in 0..24_u8 {
        bytes.extend(std::iter::repeat_n([symbol, symbol ^ 0x80, 255 - symbol], a).flatten());
        (a, b) = (b, a + b);
    }
    check(&bytes, 1 << 17);
}

proptest! {
    #[test]
    fn anything_comes_back(
        parts in prop::collection::vec((any::<[u8; 4]>(), 0_usize..90, any::<bool>()), 0..40),
        length in 1_usize..3000,
    ) {
        let mut bytes = Vec::new();
        for (word, n, repeats) in parts {
            for i in 0..n {
                let salt = if repeats { 0 } else { (i * 73) as u8 };
                bytes.extend(word.map(|byte| byte.wrapping_add(salt)));
            }
        }
        check(&bytes, length);
    }
}
