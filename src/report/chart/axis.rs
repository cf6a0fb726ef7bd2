//! A linear axis with ticks at round numbers.

use std::fmt::Write;

use super::{FLOOR, LEFT, RIGHT, TOP, WIDTH, escape};

/// The values of both ends of an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Axis {
    /// Around all finite `values` with a twentieth of their span to spare; `None` without any.
    pub(super) fn around(values: impl Iterator<Item = f64>) -> Option<Self> {
        let finite = values.filter(|value| value.is_finite());
        let [low, high] = finite.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], value| {
            [low.min(value), high.max(value)]
        });
        if low > high {
            return None;
        }
        let spare = if high > low { (high - low) / 20.0 } else { high.abs().max(1.0) / 20.0 };
        Some(Self { low: low - spare, high: high + spare })
    }

    pub(super) fn span(self) -> f64 {
        self.high - self.low
    }

    /// Place from the left of the drawing area.
    pub(super) fn x(self, value: f64) -> f64 {
        LEFT + (value - self.low) / self.span() * (WIDTH - LEFT - RIGHT)
    }

    /// Place from the top of the drawing.
    pub(super) fn y(self, value: f64) -> f64 {
        FLOOR - (value - self.low) / self.span() * (FLOOR - TOP)
    }

    /// Draws a horizontal axis with its name.
    pub(super) fn draw_below(self, svg: &mut String, name: &str) {
        let _ = write!(svg, "<path class=\"axis\" d=\"M{LEFT} {FLOOR}H{:.1}\"/>", WIDTH - RIGHT);
        for tick in ticks(self.low, self.high) {
            let x = self.x(tick);
            let _ = write!(
                svg,
                "<path class=\"axis\" d=\"M{x:.2} {FLOOR}v5\"/><text x=\"{x:.2}\" y=\"{:.1}\" \
                 text-anchor=\"middle\">{}</text>",
                FLOOR + 18.0,
                label(tick, self.span()),
            );
        }
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            f64::midpoint(LEFT, WIDTH - RIGHT),
            FLOOR + 38.0,
            escape(name),
        );
    }

    /// Draws a vertical axis with its name and a faint line at each tick.
    pub(super) fn draw_beside(self, svg: &mut String, name: &str) {
        let _ = write!(svg, "<path class=\"axis\" d=\"M{LEFT} {TOP}V{FLOOR}\"/>");
        for tick in ticks(self.low, self.high) {
            let y = self.y(tick);
            let _ = write!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {y:.2}H{:.1}\"/><text x=\"{:.1}\" y=\"{:.2}\" \
                 text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                label(tick, self.span()),
            );
        }
        let middle = f64::midpoint(FLOOR, TOP);
        let _ = write!(
            svg,
            "<text x=\"14\" y=\"{middle:.1}\" text-anchor=\"middle\" \
             transform=\"rotate(-90 14 {middle:.1})\">{}</text>",
            escape(name),
        );
    }
}

/// Ticks at round numbers (1, 2 or 5 times a power of ten) inside `low..=high`.
pub(super) fn ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 5.0;
    if !(rough.is_finite() && rough > 0.0) {
        return vec![low];
    }
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|f| f * power >= rough).unwrap_or(10.0);
    let step = factor * power;
    let first = (low / step).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|tick| tick as f64 * step).collect()
}

/// A tick label without needless digits.
pub(super) fn label(value: f64, span: f64) -> String {
    let digits = (1.0 - (span / 5.0).log10().floor()).clamp(0.0, 6.0) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let texts = |low: f64, high: f64| -> Vec<String> {
            ticks(low, high).iter().map(|&tick| label(tick, high - low)).collect()
        };
        assert_eq!(texts(0.13, 2.9), ["1", "2"]);
        assert_eq!(texts(0.0, 60.0), ["0", "20", "40", "60"]);
    }

    #[test]
    fn an_axis_spares_room_and_leaves_out_what_is_not_finite() {
        let values = [1.0, f64::NAN, 3.0, f64::INFINITY];
        assert_eq!(Axis::around(values.into_iter()), Some(Axis { low: 0.9, high: 3.1 }));
        assert_eq!(Axis::around([f64::NAN].into_iter()), None);
        let same = Axis::around([40.0, 40.0].into_iter()).unwrap();
        assert!(same.span() > 0.0, "equal values still have an axis");
    }
}
