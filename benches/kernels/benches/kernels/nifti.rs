//! Inflate, deflate, and whole images from and to the disk.

use std::error::Error;
use std::hint::black_box;
use std::io::{Read, Write};

use biomarker::image::{Series, Volume};
use biomarker::io::nifti::{self, Header, ReadLimits};
use criterion::{Criterion, Throughput};
use libdeflater::{CompressionLvl, Compressor, Decompressor};

use crate::simulated;

/// In memory: the libraries that the program could use, on one float map.
pub(crate) fn gzip(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let series = simulated::diffusion(simulated::grid([256, 256, 40])?)?;
    let map = first_volume(&series);
    let plain: Vec<u8> = map.voxels().iter().flat_map(|value| value.to_le_bytes()).collect();
    let packed = deflate(&plain)?;
    let mut group = criterion.benchmark_group("gzip_float_map_256x256x40");
    group.throughput(Throughput::Bytes(plain.len() as u64));
    group.bench_function("inflate_libdeflate", |bencher| {
        let mut inflated = vec![0; plain.len()];
        let mut decompressor = Decompressor::new();
        bencher.iter(|| decompressor.gzip_decompress(black_box(&packed), &mut inflated));
    });
    group.bench_function("inflate_zlib_rs", |bencher| {
        let mut inflated = Vec::with_capacity(plain.len());
        bencher.iter(|| {
            inflated.clear();
            flate2::read::GzDecoder::new(black_box(&packed[..])).read_to_end(&mut inflated)
        });
    });
    group.bench_function("deflate_libdeflate_1", |bencher| {
        bencher.iter(|| deflate(black_box(&plain)));
    });
    group.bench_function("deflate_zlib_rs_1", |bencher| {
        bencher.iter(|| {
            let level = flate2::Compression::new(1);
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(black_box(&plain)).and_then(|()| encoder.finish())
        });
    });
    group.finish();
    Ok(())
}

fn deflate(plain: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut compressor = Compressor::new(CompressionLvl::new(1).map_err(|e| format!("{e:?}"))?);
    let mut packed = vec![0; compressor.gzip_compress_bound(plain.len())];
    let n = compressor.gzip_compress(plain, &mut packed)?;
    packed.truncate(n);
    Ok(packed)
}

/// A series read and a map written, plain and gzipped.
pub(crate) fn images(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let grid = simulated::grid([256, 256, 40])?;
    let series = simulated::diffusion(grid)?;
    let header = Header::of_grid(grid);
    let volumes: Vec<Volume<f32>> = (0..series.n_volumes())
        .map(|volume| series.volume(volume).map(|&value| value as f32))
        .collect();
    let mut group = criterion.benchmark_group("nifti_256x256x40x4_float");
    group.throughput(Throughput::Bytes(4 * series.samples().len() as u64));
    for name in ["series.nii", "series.nii.gz"] {
        let path = folder.path().join(name);
        nifti::write_series_map(&path, &volumes, &header, None)?;
        group.bench_function(format!("read_{name}"), |bencher| {
            bencher.iter(|| nifti::read_series(&path, &ReadLimits::default()));
        });
    }
    group.throughput(Throughput::Bytes(4 * grid.n_voxels() as u64));
    for name in ["map.nii", "map.nii.gz"] {
        let path = folder.path().join(name);
        group.bench_function(format!("write_{name}"), |bencher| {
            bencher.iter(|| nifti::write_map(&path, &volumes[0], &header, [0.0, 1000.0]));
        });
    }
    group.finish();
    Ok(())
}

fn first_volume(series: &Series) -> Volume<f32> {
    series.volume(0).map(|&value| value as f32)
}
