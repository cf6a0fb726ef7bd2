//! Gzip streams: members, checksums, padding, garbage, truncation, bombs.

use biomarker::io::nifti::{ReadLimits, read_series};

use super::bytes::{
    Bytes, base, base_2, extension, gzip, read, reads, refuses, signals, values, write,
};

/// A gzip member with extra field, name, comment, time and header checksum flag off.
fn decorated_gzip(bytes: &[u8]) -> Vec<u8> {
    let plain = gzip(bytes);
    let mut decorated = plain[..10].to_vec();
    decorated[3] = 0b0001_1100;
    decorated[4..8].copy_from_slice(&[1, 2, 3, 4]);
    decorated.extend([4, 0]);
    decorated.extend(b"abcdname.nii\0comment\0");
    decorated.extend(&plain[10..]);
    decorated
}

#[test]
fn compression_is_found_by_content_not_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [("a.nii", base().gzip()), ("b.nii.gz", base()), ("c", base().gzip())] {
        let path = write(folder.path(), name, &bytes);
        let read = read_series(&path, &ReadLimits::default()).unwrap();
        assert_eq!(signals(&read.image), values(), "{name}");
    }
}

#[test]
fn every_gzip_member_is_read() {
    let file = base().0;
    for split in [1, 100, 348, 352, 360, 399] {
        let members = [gzip(&file[..split]), gzip(&file[split..])].concat();
        reads(&Bytes(members), &values(), "");
    }
    let one_by_one: Vec<u8> = file.iter().flat_map(|&byte| gzip(&[byte])).collect();
    reads(&Bytes(one_by_one), &values(), "");
    let equal = base().dim(&[4, 2, 3, 4, 2]).0;
    let voxels = gzip(&equal[352..]);
    let twice: Vec<f64> = values().into_iter().chain(values()).collect();
    reads(&Bytes([gzip(&equal[..352]), voxels.clone(), voxels].concat()), &twice, "");
    reads(&Bytes(decorated_gzip(&file)), &values(), "");
    reads(&base().gzip().append(&[0; 512]), &values(), "");
    reads(&base().append(b"tail").gzip(), &values(), "4 bytes after the voxels are not read");
    reads(&base().append(b"tail"), &values(), "4 bytes after the voxels are not read");
}

#[test]
fn broken_gzip_streams_are_refused() {
    let good = base().gzip();
    let n = good.0.len();
    refuses(
        &good.clone().append(b"x"),
        "gzip stream is damaged: what follows it is no gzip member",
    );
    refuses(
        &good.clone().append(&[0, 0, 7]),
        "gzip stream is damaged: what follows it is no gzip member",
    );
    refuses(&good.clone().append(&good.0[..n - 3]), "gzip stream ends early");
    refuses(&good.clone().put(n - 8, &[1, 2, 3, 4]), "gzip stream is damaged");
    refuses(&good.clone().put(n - 4, &[1, 2, 3, 4]), "gzip stream is damaged");
    refuses(&good.clone().put(2, &[9]), "gzip stream is damaged");
    refuses(&Bytes(gzip(&[])), "0 bytes are fewer than the 348 of a header");
    refuses(&base().cut(399).gzip(), "gzip stream holds 399 bytes, fewer than the 400");
    refuses(&base().dim(&[3, 2000, 2000, 200]).gzip(), "gzipped bytes cannot hold the 1600000000");
}

#[test]
fn no_flipped_bit_of_a_gzip_file_changes_a_value() {
    let good = base().gzip();
    let mut n_read = 0;
    for bit in 0..8 * good.0.len() {
        let mut bytes = good.clone();
        bytes.0[bit / 8] ^= 1 << (bit % 8);
        if let Ok(read) = read(&bytes) {
            assert_eq!(signals(&read.image), values(), "bit {bit}");
            n_read += 1;
        }
    }
    // Time, extra flags, operating system, text flag and reserved flags of the gzip header mean
    // nothing, nor do the bits that fill the last byte of the deflate stream.
    assert!(n_read <= 8 * 6 + 1 + 3 + 7, "{n_read}");
}

#[test]
fn no_truncated_file_is_read() {
    for file in [base(), base().gzip(), base_2(), extension(32, 32)] {
        for length in 0..file.0.len() {
            let error = read(&file.clone().cut(length)).unwrap_err();
            assert_eq!(error.kind().exit_code(), 65, "{length}: {error}");
        }
    }
    refuses(&base().cut(0), "the file is empty");
    refuses(&base().cut(10), "10 bytes are fewer than the 348 of a header");
    refuses(&base_2().cut(400), "400 bytes are fewer than the 540 of a header");
    refuses(
        &base().cut(352),
        "the file holds 352 bytes, but [2, 3, 4] voxels × 1 volumes of int16",
    );
}

#[test]
fn a_gzip_file_of_zeros_is_read_up_to_the_limit_and_no_further() {
    let file = base().dim(&[3, 200, 200, 200]).voxels(&vec![0; 16_000_000]).gzip();
    assert!(file.0.len() < 16_000_000 / 900, "deflate packs zeros about 1000 to 1");
    let read = read(&file).unwrap();
    assert!(signals(&read.image).iter().all(|&value| value.to_bits() == 0));
    let bomb = base().append(&vec![0; 64_000_000]).gzip();
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "bomb.nii.gz", &bomb);
    let error = read_series(&path, &ReadLimits { max_bytes: 1_000_000 }).unwrap_err();
    assert!(error.to_string().contains("holds more than the limit of 1000000 bytes"), "{error}");
}
