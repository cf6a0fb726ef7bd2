//! Everything that can be measured per voxel: the signal models and the area under the curve.

use crate::acquisition::{Protocol, ProtocolKind};
use crate::error::{Error, Result};
use crate::fit::{FitMethod, FitSettings, estimator};
use crate::model::{Estimator, MODELS, Parameter, find};
use crate::perfusion::{
    BloodReference, Compartment, ExchangeEstimator, ExchangeSettings, Hematocrit, IaucEstimator,
    IaucSettings, IaucVariant, IntegrationWindow, MeasuredCurve, T10Source, TissueModel,
    TissueSamples, concentration_area,
};
use crate::pipeline::plan::{AreaVariant, ArteryPlan, DynamicPlan, T10};

/// Name of the area under the concentration curve; the only measure that is no signal model.
pub const IAUC: &str = "iauc60";

/// One line of what `biomarker models` lists.
#[derive(Debug, Clone)]
pub struct Measure {
    /// Name on the command line and in pipelines.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// The equation in plain text.
    pub equation: &'static str,
    /// Citation with DOI.
    pub reference: &'static str,
    /// The protocol it needs.
    pub protocol: ProtocolKind,
    /// What it estimates; the first is the headline.
    pub parameters: Vec<Parameter>,
}

/// Settings of the area under the curve.
#[derive(Debug, Clone, PartialEq)]
pub struct DynamicSettings {
    /// Relaxivity, 1/(s·mM).
    pub relaxivity_per_s_per_mm: f64,
    /// Native relaxation time.
    pub t10: T10Source,
    /// Arrival of the bolus, s.
    pub arrival_s: f64,
    /// How long to integrate.
    pub window: IntegrationWindow,
    /// What to integrate.
    pub variant: IaucVariant,
}

/// All measures, the signal models first.
pub fn all() -> Vec<Measure> {
    let models = MODELS.iter().map(|entry| Measure {
        name: entry.name,
        summary: entry.summary,
        equation: entry.equation,
        reference: entry.reference,
        protocol: entry.protocol,
        parameters: entry.parameters.to_vec(),
    });
    models.chain([iauc()]).collect()
}

fn iauc() -> Measure {
    Measure {
        name: IAUC,
        summary: "Initial area under the contrast concentration curve from the arrival of the bolus.",
        equation: "IAUC = ∫ C(t) dt from arrival to arrival + 60 s, C from the spoiled gradient echo \
                   signal with R1 = R10 + r1·C",
        reference: "Evelhoch, J Magn Reson Imaging 1999, \
                    doi:10.1002/(SICI)1522-2586(199909)10:3<254::AID-JMRI5>3.0.CO;2-9",
        protocol: ProtocolKind::Dynamic,
        parameters: vec![concentration_area(IntegrationWindow::Seconds60)],
    }
}

/// Names of all measures.
pub fn names() -> Vec<&'static str> {
    all().iter().map(|measure| measure.name).collect()
}

/// The measure called `name`.
///
/// # Errors
///
/// `Value` with the names there are.
pub fn named(name: &str) -> Result<Measure> {
    all().into_iter().find(|measure| measure.name == name).ok_or_else(|| {
        Error::value(format!("`{name}` is not a model"))
            .hint(format!("one of {}", names().join(", ")))
    })
}

/// Names of the estimators that fit the signal model `name`; empty for other measures.
///
/// # Errors
///
/// `Internal` when the examples of the model are none.
pub fn estimators(name: &str) -> Result<Vec<&'static str>> {
    let Ok(entry) = find(name) else { return Ok(Vec::new()) };
    let protocols = (entry.example_protocols)()?;
    let protocol = protocols.last().ok_or_else(|| Error::internal("a model has no example"))?;
    let fits = |method: &FitMethod| {
        let settings = FitSettings { method: *method, sigma: Some(1.0), ..FitSettings::default() };
        estimator(entry, protocol, &settings).is_ok()
    };
    Ok(FitMethod::ALL.into_iter().filter(fits).map(FitMethod::name).collect())
}

/// The estimator of a signal model.
///
/// # Errors
///
/// As the model and the settings demand.
pub fn model_estimator(
    name: &str,
    protocol: &Protocol,
    settings: &FitSettings,
) -> Result<Box<dyn Estimator>> {
    estimator(find(name)?, protocol, settings)
}

/// The estimator of a model of tissue; `artery` is where the plasma curve comes from.
///
/// # Errors
///
/// `Mismatch` when the protocol is not dynamic; `Value` at `arterial_input` when there is no artery;
/// else as the settings demand.
pub fn tissue_estimator(
    name: &str,
    protocol: &Protocol,
    settings: &DynamicSettings,
    artery: Option<&ArteryPlan>,
) -> Result<ExchangeEstimator> {
    let Protocol::Dynamic(dynamic) = protocol else {
        return Err(Error::mismatch(format!("`{name}` needs a dynamic series")));
    };
    let artery = artery.ok_or_else(|| {
        Error::value("the concentration in the artery is needed")
            .at_field("arterial_input")
            .hint("name a population curve (parker, weinmann, georgiou) or give a measured one")
    })?;
    let last_frame_s = dynamic.frame_times_s().last().copied().unwrap_or(f64::NAN);
    let plasma = artery.plasma(settings.arrival_s, last_frame_s)?;
    let tissues = [TissueModel::Tofts, TissueModel::ExtendedTofts];
    let tissue = tissues.into_iter().find(|tissue| tissue.name() == name);
    ExchangeEstimator::new(&ExchangeSettings {
        protocol: dynamic.clone().with_plasma_curve(plasma)?,
        tissue: tissue.ok_or_else(|| Error::internal(format!("`{name}` is no tissue model")))?,
        samples: TissueSamples::Signals {
            relaxivity_per_s_per_mm: settings.relaxivity_per_s_per_mm,
            t10: settings.t10,
            arrival_s: settings.arrival_s,
        },
    })
}

/// The estimator of the area under the curve.
///
/// # Errors
///
/// `Mismatch` when the protocol is not dynamic; else as the settings demand.
pub fn dynamic_estimator(protocol: &Protocol, settings: &DynamicSettings) -> Result<IaucEstimator> {
    IaucEstimator::new(&iauc_settings(protocol, settings)?)
}

/// The settings of the area under the curve in full.
///
/// # Errors
///
/// `Mismatch` when the protocol is not dynamic.
pub fn iauc_settings(protocol: &Protocol, settings: &DynamicSettings) -> Result<IaucSettings> {
    let Protocol::Dynamic(dynamic) = protocol else {
        return Err(Error::mismatch(format!("`{IAUC}` needs a dynamic series")));
    };
    Ok(IaucSettings {
        protocol: dynamic.clone(),
        relaxivity_per_s_per_mm: settings.relaxivity_per_s_per_mm,
        t10: settings.t10,
        arrival_s: settings.arrival_s,
        window: settings.window,
        variant: settings.variant.clone(),
    })
}

/// The settings that a plan asks for where the bolus arrives at `arrival_s`.
///
/// # Errors
///
/// `Value` at `dynamic.window_s` when it is no window; as the arterial curve demands where areas are
/// divided by that of blood.
pub fn dynamic_settings(
    plan: &DynamicPlan,
    protocol: &Protocol,
    arrival_s: f64,
) -> Result<DynamicSettings> {
    let t10 = match plan.t10 {
        T10::ValueMs(value) => T10Source::Uniform(value / 1e3),
        T10::Map(_) => T10Source::PerVoxel,
        T10::Unknown => T10Source::Unknown,
    };
    let window = IntegrationWindow::from_duration_s(plan.window_s).ok_or_else(|| {
        Error::value(format!("{} s is not 30, 60, 90, 120 or 180", plan.window_s))
            .at_field("dynamic.window_s")
    })?;
    let variant = match plan.variant {
        AreaVariant::Concentration => IaucVariant::Concentration,
        AreaVariant::RelativeEnhancement => IaucVariant::RelativeEnhancement,
        AreaVariant::BloodNormalised => {
            IaucVariant::BloodNormalised(blood(plan, protocol, arrival_s)?)
        }
    };
    let relaxivity_per_s_per_mm = plan.relaxivity_per_s_per_mm;
    Ok(DynamicSettings { relaxivity_per_s_per_mm, t10, arrival_s, window, variant })
}

/// The curve in the artery that areas are divided by.
fn blood(plan: &DynamicPlan, protocol: &Protocol, arrival_s: f64) -> Result<BloodReference> {
    let (Protocol::Dynamic(dynamic), Some(artery)) = (protocol, &plan.artery) else {
        return Err(Error::mismatch("the concentration in the artery is needed"));
    };
    let last_frame_s = dynamic.frame_times_s().last().copied().unwrap_or(f64::NAN);
    let plasma = artery.plasma(arrival_s, last_frame_s)?;
    let curve = MeasuredCurve::new(
        plasma.times_s().to_vec(),
        plasma.concentrations_mmol_per_l().to_vec(),
        Compartment::Plasma,
    )?;
    Ok(BloodReference { curve, arrival_s, hematocrit: Hematocrit::new(artery.hematocrit)? })
}
