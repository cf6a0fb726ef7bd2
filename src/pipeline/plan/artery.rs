//! The arterial curve that models of tissue are driven by.

use serde::Serialize;

use super::source::{QueryPlan, query};
use crate::acquisition::PlasmaCurve;
use crate::error::{Error, Result};
use crate::perfusion::{ArterialInput, Compartment, Hematocrit, MeasuredCurve, plasma_curve};
use crate::pipeline::spec::Section;

/// Dose of contrast agent where none is given, mmol per kg of body mass.
pub const DEFAULT_DOSE_MMOL_PER_KG: f64 = 0.1;

/// What flows in the artery.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "curve", rename_all = "snake_case")]
pub enum ArteryCurve {
    /// Population curve of Parker; whole blood.
    Parker,
    /// Population curve of Weinmann; plasma.
    Weinmann {
        /// Dose, mmol per kg of body mass.
        dose_mmol_per_kg: f64,
    },
    /// Population curve of Georgiou.
    Georgiou,
    /// Mean of a region in the artery, drawn on the same series.
    Region {
        /// The mask.
        query: QueryPlan,
        /// Longitudinal relaxation time of blood before contrast, ms.
        t10_ms: f64,
    },
    /// A table of times (s, on the axis of the frames) and concentrations (mM).
    Measured {
        /// Times, s.
        times_s: Vec<f64>,
        /// Concentrations, mM.
        concentrations_mmol_per_l: Vec<f64>,
    },
}

/// The arterial curve, and how it becomes one of plasma.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArteryPlan {
    /// What flows in the artery.
    #[serde(flatten)]
    pub curve: ArteryCurve,
    /// `blood` or `plasma`, where the curve itself does not say it.
    pub compartment: Option<String>,
    /// Volume fraction of red cells in blood.
    pub hematocrit: f64,
}

impl ArteryPlan {
    /// The population curve called `name`.
    ///
    /// # Errors
    ///
    /// `Value` at `arterial_input` with the names there are.
    pub fn population(name: &str) -> Result<ArteryCurve> {
        match name {
            "parker" => Ok(ArteryCurve::Parker),
            "weinmann" => Ok(ArteryCurve::Weinmann { dose_mmol_per_kg: DEFAULT_DOSE_MMOL_PER_KG }),
            "georgiou" => Ok(ArteryCurve::Georgiou),
            _ => Err(Error::value(format!("no population curve is called `{name}`"))
                .at_field("arterial_input")
                .hint("one of parker, weinmann, georgiou, or measured with a mask of the artery")),
        }
    }

    /// Concentration in plasma from the arrival to the last frame.
    ///
    /// # Errors
    ///
    /// `Value` at `compartment` when the curve needs one and it is not `blood` or `plasma`, at
    /// `hematocrit`, or where the table of a measured curve is not usable.
    pub fn plasma(&self, arrival_s: f64, last_frame_s: f64) -> Result<PlasmaCurve> {
        let hematocrit = Hematocrit::new(self.hematocrit)?;
        let input = match &self.curve {
            ArteryCurve::Parker => ArterialInput::Parker,
            ArteryCurve::Weinmann { dose_mmol_per_kg } => {
                ArterialInput::Weinmann { dose_mmol_per_kg: *dose_mmol_per_kg }
            }
            ArteryCurve::Georgiou => ArterialInput::Georgiou { compartment: self.compartment()? },
            ArteryCurve::Region { .. } => {
                return Err(Error::internal("the artery has not been measured yet"));
            }
            ArteryCurve::Measured { times_s, concentrations_mmol_per_l } => {
                ArterialInput::Measured(MeasuredCurve::new(
                    times_s.clone(),
                    concentrations_mmol_per_l.clone(),
                    self.compartment()?,
                )?)
            }
        };
        plasma_curve(&input, hematocrit, [arrival_s, last_frame_s])
    }

    fn compartment(&self) -> Result<Compartment> {
        match self.compartment.as_deref() {
            Some("blood") => Ok(Compartment::Blood),
            Some("plasma") => Ok(Compartment::Plasma),
            other => {
                let given = other.map_or("nothing".to_owned(), |name| format!("`{name}`"));
                Err(Error::value(format!("{given} does not say what the arterial curve counts"))
                    .at_field("compartment")
                    .hint(
                        "`blood` for concentrations in whole blood, `plasma` for those in plasma",
                    ))
            }
        }
    }
}

/// Reads `arterial_input`, `artery`, `artery_t10_ms`, `compartment` and `hematocrit`; `None` where no
/// input is named.
pub(super) fn artery(table: &Section<'_>) -> Option<ArteryPlan> {
    let compartment = table.text("compartment");
    let hematocrit = table.number_within("hematocrit", Hematocrit::DEFAULT.fraction(), [0.0, 0.7]);
    let dose = table.number_within("dose_mmol_per_kg", DEFAULT_DOSE_MMOL_PER_KG, [1e-3, 10.0]);
    let region = region(table);
    let name = table.text("arterial_input").or_else(|| region.as_ref().map(|_| MEASURED.into()))?;
    if name == MEASURED {
        let curve = region.or_else(|| {
            let error = Error::value("is missing: the mask of the artery")
                .hint("as in artery = { suffix = \"mask\", label = \"aorta\" }");
            table.refuse("artery", error);
            None
        })?;
        // Signals of an artery are those of whole blood.
        let compartment = Some(compartment.unwrap_or_else(|| "blood".into()));
        return Some(ArteryPlan { curve, compartment, hematocrit });
    }
    match ArteryPlan::population(&name) {
        Ok(ArteryCurve::Weinmann { .. }) => {
            let curve = ArteryCurve::Weinmann { dose_mmol_per_kg: dose };
            Some(ArteryPlan { curve, compartment, hematocrit })
        }
        Ok(curve) => Some(ArteryPlan { curve, compartment, hematocrit }),
        Err(error) => {
            table.refuse("arterial_input", error);
            None
        }
    }
}

/// What `arterial_input` says where the curve is measured on the series.
const MEASURED: &str = "measured";

fn region(table: &Section<'_>) -> Option<ArteryCurve> {
    let query = query(table, "artery");
    let t10_ms = table
        .number("artery_t10_ms")
        .map(|_| table.number_within("artery_t10_ms", 1600.0, [100.0, 5000.0]));
    let query = query?;
    if t10_ms.is_none() {
        let error = Error::value("is missing: T1 of blood before contrast")
            .hint("about 1440 ms at 1.5 T and 1650 ms at 3 T; lower with less haematocrit");
        table.refuse("artery_t10_ms", error);
    }
    Some(ArteryCurve::Region { query, t10_ms: t10_ms? })
}
