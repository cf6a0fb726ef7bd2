//! Pages that people read: results in, HTML out, nothing computed.
