//! Surfaces with a value per vertex: GIFTI for brain and knee viewers, PLY for everything else.
//!
//! Positions are scanner millimetres (RAS+). Data are binary little endian; in GIFTI they are
//! deflated and written in base64.
//!
//! # Reference
//!
//! GIFTI Surface Data Format, version 1.0, <https://www.nitrc.org/projects/gifti>.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::atomic;
use crate::error::{Error, ErrorKind, Result};
use crate::thickness::Surface;

const IDENTITY: &str = "1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1";

/// Writes the points and triangles of `surface` to `path`, which should end in `.surf.gii`.
///
/// # Errors
///
/// `Create` or `Write` when the file cannot be written.
pub fn write_gifti_surface(path: &Path, surface: &Surface) -> Result<()> {
    let points: Vec<u8> = single_precision(surface).flatten().flat_map(f32::to_le_bytes).collect();
    let corners: Vec<u8> = corners(surface).flatten().flat_map(i32::to_le_bytes).collect();
    let points = Array {
        intent: "NIFTI_INTENT_POINTSET",
        data_type: "NIFTI_TYPE_FLOAT32",
        shape: [surface.vertices_mm.len(), 3],
        bytes: &points,
        name: None,
    };
    let corners = Array {
        intent: "NIFTI_INTENT_TRIANGLE",
        data_type: "NIFTI_TYPE_INT32",
        shape: [surface.triangles.len(), 3],
        bytes: &corners,
        name: None,
    };
    write_gifti(path, &[points, corners])
}

/// Writes one value per vertex to `path`, which should end in `.shape.gii`; NaN where there is none.
///
/// `name` says what the values are, such as `thickness_mm`.
///
/// # Errors
///
/// `Create` or `Write` when the file cannot be written.
pub fn write_gifti_shape(path: &Path, name: &str, values: &[f32]) -> Result<()> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let values = Array {
        intent: "NIFTI_INTENT_SHAPE",
        data_type: "NIFTI_TYPE_FLOAT32",
        shape: [values.len(), 1],
        bytes: &bytes,
        name: Some(name),
    };
    write_gifti(path, &[values])
}

/// Writes `surface` with one value per vertex to `path`, which should end in `.ply`.
///
/// `name` is that of the vertex property, without white space, such as `thickness_mm`.
///
/// # Errors
///
/// `Mismatch` when there is not one value per vertex, `Value` when `name` is no single word,
/// `Create` or `Write` when the file cannot be written.
pub fn write_ply(path: &Path, surface: &Surface, name: &str, values: &[f32]) -> Result<()> {
    let n_vertices = surface.vertices_mm.len();
    if values.len() != n_vertices {
        let counts = format!("{} values for {n_vertices} vertices", values.len());
        return Err(Error::mismatch(counts).at_path(path));
    }
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_graphic()) {
        let rule = format!("property name {name:?} must be one word of ASCII");
        return Err(Error::value(rule).at_path(path));
    }
    let mut bytes = format!(
        "ply\nformat binary_little_endian 1.0\ncomment scanner coordinates (RAS+), mm\n\
         element vertex {n_vertices}\nproperty float x\nproperty float y\nproperty float z\n\
         property float {name}\nelement face {}\nproperty list uchar int vertex_indices\n\
         end_header\n",
        surface.triangles.len()
    )
    .into_bytes();
    for (vertex, &value) in single_precision(surface).zip(values) {
        bytes.extend(vertex.into_iter().chain([value]).flat_map(f32::to_le_bytes));
    }
    for triangle in corners(surface) {
        bytes.push(3);
        bytes.extend(triangle.into_iter().flat_map(i32::to_le_bytes));
    }
    atomic::write(path, &bytes)
}

fn single_precision(surface: &Surface) -> impl Iterator<Item = [f32; 3]> {
    surface.vertices_mm.iter().map(|vertex| vertex.map(|x| x as f32))
}

fn corners(surface: &Surface) -> impl Iterator<Item = [i32; 3]> {
    surface.triangles.iter().map(|triangle| triangle.map(|vertex| vertex as i32))
}

/// One data array of a GIFTI file; one dimension where the second is 1.
struct Array<'a> {
    intent: &'static str,
    data_type: &'static str,
    shape: [usize; 2],
    bytes: &'a [u8],
    name: Option<&'a str>,
}

fn write_gifti(path: &Path, arrays: &[Array<'_>]) -> Result<()> {
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE GIFTI SYSTEM \"http://www.nitrc.org/frs/download.php/115/gifti.dtd\">\n\
         <GIFTI Version=\"1.0\" NumberOfDataArrays=\"{}\">\n<MetaData/>\n<LabelTable/>\n",
        arrays.len()
    );
    for array in arrays {
        let written = array.append(&mut xml);
        written
            .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()).at_path(path))?;
    }
    xml.push_str("</GIFTI>\n");
    atomic::write(path, xml.as_bytes())
}

impl Array<'_> {
    fn append(&self, xml: &mut String) -> std::io::Result<()> {
        let [rows, columns] = self.shape;
        let dimensions = if columns > 1 {
            format!("Dimensionality=\"2\" Dim0=\"{rows}\" Dim1=\"{columns}\"")
        } else {
            format!("Dimensionality=\"1\" Dim0=\"{rows}\"")
        };
        let mut deflated = ZlibEncoder::new(Vec::new(), Compression::default());
        deflated.write_all(self.bytes)?;
        let data = STANDARD.encode(deflated.finish()?);
        let metadata = self.name.map_or_else(
            || "<MetaData/>".to_owned(),
            |name| {
                let name = name.replace("]]>", "]] >");
                format!(
                    "<MetaData><MD><Name>Name</Name><Value><![CDATA[{name}]]></Value></MD></MetaData>"
                )
            },
        );
        let space = if self.intent == "NIFTI_INTENT_POINTSET" {
            format!(
                "<CoordinateSystemTransformMatrix><DataSpace>NIFTI_XFORM_SCANNER_ANAT</DataSpace>\
                 <TransformedSpace>NIFTI_XFORM_SCANNER_ANAT</TransformedSpace>\
                 <MatrixData>{IDENTITY}</MatrixData></CoordinateSystemTransformMatrix>\n"
            )
        } else {
            String::new()
        };
        write!(
            xml,
            "<DataArray Intent=\"{}\" DataType=\"{}\" ArrayIndexingOrder=\"RowMajorOrder\" \
             {dimensions} Encoding=\"GZipBase64Binary\" Endian=\"LittleEndian\" \
             ExternalFileName=\"\" ExternalFileOffset=\"\">\n{metadata}\n{space}\
             <Data>{data}</Data>\n</DataArray>\n",
            self.intent, self.data_type
        )
        .map_err(std::io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;

    use super::*;

    fn tetrahedron() -> Surface {
        Surface {
            vertices_mm: vec![[0.0; 3], [1.5, 0.0, 0.0], [0.0, -2.0, 0.0], [0.0, 0.0, 3.25]],
            triangles: vec![[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]],
            vertex_areas_mm2: vec![1.0; 4],
        }
    }

    /// The data of every array, inflated.
    fn data_of(xml: &str) -> Vec<Vec<u8>> {
        xml.split("<Data>")
            .skip(1)
            .map(|rest| {
                let deflated = STANDARD.decode(rest.split("</Data>").next().unwrap()).unwrap();
                let mut bytes = Vec::new();
                flate2::read::ZlibDecoder::new(&deflated[..]).read_to_end(&mut bytes).unwrap();
                bytes
            })
            .collect()
    }

    #[test]
    fn gifti_holds_points_triangles_and_values() {
        let folder = tempfile::tempdir().unwrap();
        let (surface_path, shape_path) =
            (folder.path().join("a.surf.gii"), folder.path().join("a.shape.gii"));
        write_gifti_surface(&surface_path, &tetrahedron()).unwrap();
        write_gifti_shape(&shape_path, "thickness_mm", &[1.0, 2.0, f32::NAN, 0.5]).unwrap();
        let xml = fs::read_to_string(&surface_path).unwrap();
        let arrays = data_of(&xml);
        assert_eq!(arrays[0][12..16], 1.5_f32.to_le_bytes());
        assert_eq!(arrays[0][28..32], (-2.0_f32).to_le_bytes());
        assert_eq!(arrays[1][4..8], 2_i32.to_le_bytes());
        assert_eq!(arrays.iter().map(Vec::len).collect::<Vec<_>>(), [48, 48]);
        assert!(xml.contains("Dim0=\"4\" Dim1=\"3\"") && xml.contains("SCANNER_ANAT"));
        let xml = fs::read_to_string(&shape_path).unwrap();
        assert_eq!(data_of(&xml)[0][12..16], 0.5_f32.to_le_bytes());
        assert!(xml.contains("CDATA[thickness_mm]"));
    }

    #[test]
    fn ply_has_a_header_and_fixed_size_records() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ply");
        write_ply(&path, &tetrahedron(), "thickness_mm", &[1.0, 2.0, 3.0, 4.0]).unwrap();
        let bytes = fs::read(&path).unwrap();
        let end = b"end_header\n";
        let start = bytes.windows(end.len()).position(|window| window == end).unwrap() + end.len();
        assert_eq!(bytes.len() - start, 4 * 16 + 4 * 13);
        assert_eq!(bytes[start + 16..start + 20], 1.5_f32.to_le_bytes());
        assert_eq!(bytes[start + 28..start + 32], 2.0_f32.to_le_bytes());
        assert_eq!(bytes[start + 64..start + 69], [3, 0, 0, 0, 0]);
    }

    #[test]
    fn values_must_fit_the_surface() {
        let path = Path::new("never.ply");
        let error = write_ply(path, &tetrahedron(), "thickness_mm", &[1.0]).unwrap_err();
        assert_eq!(error.to_string(), "never.ply: 1 values for 4 vertices");
        assert!(write_ply(path, &tetrahedron(), "two words", &[1.0; 4]).is_err());
    }
}
