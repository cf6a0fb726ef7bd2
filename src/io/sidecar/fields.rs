//! Fields of a sidecar with their units: what cannot be is refused with the fix.

use serde_json::Value;

use super::Sidecar;
use crate::error::{Error, Result};

/// A quantity of BIDS with its plausible range and the unit it is often mistaken for.
struct Quantity {
    low: f64,
    high: f64,
    unit: &'static str,
    mistaken: &'static str,
    /// From the mistaken unit to the right one.
    convert: fn(f64) -> f64,
    /// What to say where no other unit explains the value.
    otherwise: &'static str,
}

const ECHO_TIME: Quantity = seconds(0.001, 0.5);
const REPETITION_TIME: Quantity = seconds(0.001, 20.0);
/// Between excitations of a gradient echo; narrow, or milliseconds would pass as seconds.
const EXCITATION_REPETITION_TIME: Quantity = seconds(0.001, 1.0);
/// Where only `RepetitionTime` is given it may be the time between volumes, which is longer.
const AMBIGUOUS_REPETITION_TIME: Quantity = Quantity {
    otherwise: "give RepetitionTimeExcitation, the time between excitations in seconds",
    ..seconds(0.001, 0.2)
};
const FLIP_ANGLE: Quantity = Quantity {
    low: 0.5,
    high: 180.0,
    unit: "degrees",
    mistaken: "radians",
    convert: f64::to_degrees,
    otherwise: "BIDS gives this value in degrees",
};
const FIELD_STRENGTH: Quantity = Quantity {
    low: 0.01,
    high: 25.0,
    unit: "tesla",
    mistaken: "gauss",
    convert: |gauss| gauss / 1e4,
    otherwise: "BIDS gives this value in tesla",
};
/// No dynamic series waits longer between frames, s; a larger step is in milliseconds.
const MAX_FRAME_STEP_S: f64 = 500.0;

const fn seconds(low: f64, high: f64) -> Quantity {
    Quantity {
        low,
        high,
        unit: "seconds",
        mistaken: "milliseconds",
        convert: |ms| ms / 1e3,
        otherwise: "BIDS gives this value in seconds",
    }
}

impl Quantity {
    fn check(&self, value: f64) -> Result<f64> {
        if self.low <= value && value <= self.high {
            return Ok(value);
        }
        let converted = (self.convert)(value);
        let hint = if self.low <= converted && converted <= self.high {
            let fix = format!("{converted:.7}");
            let fix = fix.trim_end_matches('0').trim_end_matches('.');
            format!("{value} looks like {}: write {fix}, BIDS uses {}", self.mistaken, self.unit)
        } else {
            self.otherwise.to_owned()
        };
        Err(Error::value(format!(
            "value {value} is not between {} and {} {}",
            self.low, self.high, self.unit
        ))
        .hint(hint))
    }
}

impl Sidecar {
    /// `EchoTime`, s; `None` where absent.
    ///
    /// # Errors
    ///
    /// `Value` when it is no single number or not between 1 ms and 500 ms.
    pub fn echo_time_s(&self) -> Result<Option<f64>> {
        self.single("EchoTime", &ECHO_TIME)
    }

    /// Echo times of a 4-D series, s, from `EchoTimes` or an array in `EchoTime`; `None` where
    /// neither is there or `EchoTime` is a single number.
    ///
    /// # Errors
    ///
    /// `Value` when one is no number or not between 1 ms and 500 ms.
    pub fn echo_times_s(&self) -> Result<Option<Vec<f64>>> {
        if self.get("EchoTimes").is_some() {
            return self.list("EchoTimes", &ECHO_TIME);
        }
        match self.get("EchoTime") {
            Some(Value::Array(_)) => self.list("EchoTime", &ECHO_TIME),
            _ => Ok(None),
        }
    }

    /// `RepetitionTime`, s; of a series it is the time between volumes.
    ///
    /// # Errors
    ///
    /// `Value` when it is no number or not between 1 ms and 20 s.
    pub fn repetition_time_s(&self) -> Result<Option<f64>> {
        self.single("RepetitionTime", &REPETITION_TIME)
    }

    /// `RepetitionTimePreparation`, s.
    ///
    /// # Errors
    ///
    /// `Value` when it is no number or not between 1 ms and 20 s.
    pub fn repetition_time_preparation_s(&self) -> Result<Option<f64>> {
        self.single("RepetitionTimePreparation", &REPETITION_TIME)
    }

    /// Time between excitations of a spoiled gradient echo, s: `RepetitionTimeExcitation`, else
    /// `RepetitionTime` where it is too short to be the time between volumes.
    ///
    /// # Errors
    ///
    /// `Value` when it is no number or not between 1 ms and 1 s (0.2 s for `RepetitionTime`).
    pub fn repetition_time_excitation_s(&self) -> Result<Option<f64>> {
        match self.single("RepetitionTimeExcitation", &EXCITATION_REPETITION_TIME)? {
            Some(value) => Ok(Some(value)),
            None => self.single("RepetitionTime", &AMBIGUOUS_REPETITION_TIME),
        }
    }

    /// `FlipAngle`, degrees, one or one per volume.
    ///
    /// # Errors
    ///
    /// `Value` when one is no number or not between 0.5 and 180 degrees.
    pub fn flip_angles_deg(&self) -> Result<Option<Vec<f64>>> {
        self.list("FlipAngle", &FLIP_ANGLE)
    }

    /// `MagneticFieldStrength`, T.
    ///
    /// # Errors
    ///
    /// `Value` when it is no number or not between 0.01 and 25 T.
    pub fn magnetic_field_strength_t(&self) -> Result<Option<f64>> {
        self.single("MagneticFieldStrength", &FIELD_STRENGTH)
    }

    /// Time of every frame, s, strictly rising: `VolumeTiming` or `FrameTimesStart`.
    ///
    /// # Errors
    ///
    /// `Value` when one is no number, they do not rise or look like milliseconds; `Mismatch` when
    /// both fields are there and differ.
    pub fn frame_times_s(&self) -> Result<Option<Vec<f64>>> {
        let volume = self.frame_times("VolumeTiming")?;
        let frame = self.frame_times("FrameTimesStart")?;
        match (volume, frame) {
            (Some(volume), Some(frame)) if volume != frame => {
                Err(Error::mismatch("VolumeTiming and FrameTimesStart differ")
                    .at_field("VolumeTiming")
                    .at_path(self.place_of("VolumeTiming"))
                    .hint("delete the wrong one"))
            }
            (volume, frame) => Ok(volume.or(frame)),
        }
    }

    fn frame_times(&self, key: &str) -> Result<Option<Vec<f64>>> {
        let Some(times) = self.numbers(key)? else { return Ok(None) };
        require_frame_times(&times)
            .map_err(|error| error.at_field(key).at_path(self.place_of(key)))?;
        Ok(Some(times))
    }

    fn single(&self, key: &str, quantity: &Quantity) -> Result<Option<f64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = if value.is_array() {
            Err(Error::value("an array stands where one number is needed"))
        } else {
            as_number(value)
        };
        number
            .and_then(|number| quantity.check(number))
            .map(Some)
            .map_err(|error| error.at_field(key).at_path(self.place_of(key)))
    }

    fn list(&self, key: &str, quantity: &Quantity) -> Result<Option<Vec<f64>>> {
        let Some(numbers) = self.numbers(key)? else { return Ok(None) };
        for (index, number) in numbers.iter().enumerate() {
            quantity.check(*number).map_err(|error| {
                error.at_field(format!("{key}[{index}]")).at_path(self.place_of(key))
            })?;
        }
        Ok(Some(numbers))
    }

    /// One number or an array of numbers.
    fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let mut numbers = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            numbers.push(as_number(item).map_err(|error| {
                error.at_field(format!("{key}[{index}]")).at_path(self.place_of(key))
            })?);
        }
        if numbers.is_empty() {
            return Err(Error::value("the array is empty")
                .at_field(key)
                .at_path(self.place_of(key)));
        }
        Ok(Some(numbers))
    }
}

fn as_number(value: &Value) -> Result<f64> {
    value.as_f64().filter(|number| number.is_finite()).ok_or_else(|| {
        let error = Error::value(match value {
            Value::String(text) => {
                format!("\"{}\" is a text", text.chars().take(40).collect::<String>())
            }
            Value::Bool(truth) => format!("{truth} is not a number"),
            Value::Array(_) => "an array stands where one number is needed".into(),
            Value::Object(_) => "an object stands where a number is needed".into(),
            Value::Null | Value::Number(_) => "value is not a finite number".into(),
        });
        match value {
            Value::String(_) => error.hint("write the number without quotes"),
            _ => error,
        }
    })
}

/// Passes when times (s) are finite, rise strictly, and no step looks like milliseconds.
pub(in crate::io) fn require_frame_times(times: &[f64]) -> Result<()> {
    if let Some(index) = times.iter().position(|time| !time.is_finite()) {
        return Err(Error::value("time is not finite").at_field(format!("[{index}]")));
    }
    for (index, pair) in times.windows(2).enumerate() {
        let [before, after] = pair else { continue };
        let place = format!("[{}]", index + 1);
        if before >= after {
            return Err(Error::value(format!("time {after} does not come after {before}"))
                .at_field(place)
                .hint("one time per frame, strictly rising, in the order of the volumes"));
        }
        if after - before > MAX_FRAME_STEP_S {
            return Err(Error::value(format!(
                "step of {} s between frames is above {MAX_FRAME_STEP_S} s",
                after - before
            ))
            .at_field(place)
            .hint("the times look like milliseconds: divide them by 1000, BIDS uses seconds"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sidecar(json: &str) -> Sidecar {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        crate::io::atomic::write(&path, json.as_bytes()).unwrap();
        Sidecar::read(&path).unwrap()
    }

    fn fault<T: std::fmt::Debug>(result: Result<T>) -> (String, String) {
        let error = result.unwrap_err();
        let path = format!("{}: ", error.path().unwrap().display());
        let line = error.to_string();
        (line.trim_start_matches(&path).into(), error.hint_text().unwrap_or_default().into())
    }

    #[test]
    fn milliseconds_are_refused_with_the_number_to_write() {
        let (line, hint) = fault(sidecar(r#"{"EchoTime": 6.312}"#).echo_time_s());
        assert_eq!(line, "`EchoTime`: value 6.312 is not between 0.001 and 0.5 seconds");
        assert_eq!(hint, "6.312 looks like milliseconds: write 0.006312, BIDS uses seconds");
        let json = r#"{"EchoTime": [0.01, 20]}"#;
        let (line, hint) = fault(sidecar(json).echo_times_s());
        assert_eq!(line, "`EchoTime[1]`: value 20 is not between 0.001 and 0.5 seconds");
        assert!(hint.contains("write 0.02"));
        let (_, hint) = fault(sidecar(r#"{"RepetitionTime": 1500}"#).repetition_time_s());
        assert!(hint.starts_with("1500 looks like milliseconds: write 1.5,"));
        let (_, hint) = fault(sidecar(r#"{"EchoTime": -1}"#).echo_time_s());
        assert_eq!(hint, "BIDS gives this value in seconds");
        let json = r#"{"VolumeTiming": [0, 3000, 6000]}"#;
        let (line, hint) = fault(sidecar(json).frame_times_s());
        assert_eq!(line, "`VolumeTiming[1]`: step of 3000 s between frames is above 500 s");
        assert!(hint.contains("divide them by 1000"));
    }

    #[test]
    fn a_repetition_time_of_milliseconds_does_not_pass_as_seconds_between_excitations() {
        let json = r#"{"RepetitionTimeExcitation": 7.939}"#;
        let (line, hint) = fault(sidecar(json).repetition_time_excitation_s());
        assert!(line.ends_with("value 7.939 is not between 0.001 and 1 seconds"));
        assert!(hint.contains("write 0.007939"));
        let json = r#"{"RepetitionTime": 0.9, "FlipAngle": 15}"#;
        let (line, hint) = fault(sidecar(json).repetition_time_excitation_s());
        assert_eq!(line, "`RepetitionTime`: value 0.9 is not between 0.001 and 0.2 seconds");
        assert!(hint.starts_with("give RepetitionTimeExcitation"));
        let json = r#"{"RepetitionTime": 3.1, "RepetitionTimeExcitation": 0.004}"#;
        assert_eq!(sidecar(json).repetition_time_excitation_s().unwrap(), Some(0.004));
    }

    #[test]
    fn flip_angles_in_radians_are_refused() {
        let json = r#"{"FlipAngle": [2, 0.349066]}"#;
        let (line, hint) = fault(sidecar(json).flip_angles_deg());
        assert_eq!(line, "`FlipAngle[1]`: value 0.349066 is not between 0.5 and 180 degrees");
        assert!(hint.starts_with("0.349066 looks like radians: write 20.00"));
        assert_eq!(sidecar(r#"{"FlipAngle": 15}"#).flip_angles_deg().unwrap(), Some(vec![15.0]));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let (line, hint) = fault(sidecar(r#"{"EchoTime": "0.01"}"#).echo_time_s());
        assert_eq!(line, "`EchoTime`: \"0.01\" is a text");
        assert_eq!(hint, "write the number without quotes");
        let (line, _) = fault(sidecar(r#"{"EchoTime": [0.01]}"#).echo_time_s());
        assert_eq!(line, "`EchoTime`: an array stands where one number is needed");
        let (line, _) = fault(sidecar(r#"{"FlipAngle": []}"#).flip_angles_deg());
        assert_eq!(line, "`FlipAngle`: the array is empty");
        let (line, _) =
            fault(sidecar(r#"{"MagneticFieldStrength": true}"#).magnetic_field_strength_t());
        assert_eq!(line, "`MagneticFieldStrength`: true is not a number");
        let (_, hint) =
            fault(sidecar(r#"{"MagneticFieldStrength": 30000}"#).magnetic_field_strength_t());
        assert!(hint.starts_with("30000 looks like gauss: write 3,"));
    }

    #[test]
    fn frame_times_come_from_either_field_but_may_not_differ() {
        let times = |json: &str| sidecar(json).frame_times_s();
        assert_eq!(times(r#"{"VolumeTiming": [0, 3.5]}"#).unwrap(), Some(vec![0.0, 3.5]));
        assert_eq!(times(r#"{"FrameTimesStart": [0, 3]}"#).unwrap(), Some(vec![0.0, 3.0]));
        assert_eq!(times("{}").unwrap(), None);
        let both = r#"{"VolumeTiming": [0, 3], "FrameTimesStart": [0, 4]}"#;
        assert_eq!(fault(times(both)).0, "`VolumeTiming`: VolumeTiming and FrameTimesStart differ");
        let (line, _) = fault(times(r#"{"VolumeTiming": [0, 3, 3]}"#));
        assert_eq!(line, "`VolumeTiming[2]`: time 3 does not come after 3");
    }

    #[test]
    fn absent_fields_are_none() {
        let empty = sidecar("{}");
        assert_eq!(empty.echo_time_s().unwrap(), None);
        assert_eq!(empty.echo_times_s().unwrap(), None);
        assert_eq!(empty.repetition_time_s().unwrap(), None);
        assert_eq!(empty.repetition_time_preparation_s().unwrap(), None);
        assert_eq!(empty.repetition_time_excitation_s().unwrap(), None);
        assert_eq!(empty.flip_angles_deg().unwrap(), None);
        assert_eq!(empty.magnetic_field_strength_t().unwrap(), None);
    }
}
