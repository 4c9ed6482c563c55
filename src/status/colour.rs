//! Colours and their contrast, by the rules of WCAG 2.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour(u8, u8, u8);

impl Colour {
    /// The ground of the page, by day and by night.
    pub(super) const WHITE: Self = Self(0xff, 0xff, 0xff);
    pub(super) const DARK: Self = Self(0x12, 0x16, 0x1c);
    /// What text needs at least.
    pub(super) const READABLE: f64 = 4.5;

    /// `#0b5cad` or `#05a`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.trim().strip_prefix('#')?;
        let digit = |index: usize| digits.get(index..=index).and_then(|digit| u8::from_str_radix(digit, 16).ok());
        match digits.len() {
            3 => Some(Self(digit(0)? * 17, digit(1)? * 17, digit(2)? * 17)),
            6 => Some(Self(digit(0)? * 16 + digit(1)?, digit(2)? * 16 + digit(3)?, digit(4)? * 16 + digit(5)?)),
            _ => None,
        }
    }

    pub(super) fn contrast(self, other: Self) -> f64 {
        let (one, other) = (self.luminance(), other.luminance());
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    fn luminance(self) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }

    /// The nearest shade of it that can be read there.
    pub(super) fn readable_on(self, ground: Self) -> Self {
        let goal = if ground.luminance() > 0.18 { Self(0, 0, 0) } else { Self::WHITE };
        (0..=100)
            .map(|step| self.towards(goal, f64::from(step) / 100.0))
            .find(|shade| shade.contrast(ground) >= Self::READABLE)
            .unwrap_or(goal)
    }

    fn towards(self, goal: Self, share: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between two bytes")]
        let mix = |from: u8, to: u8| (f64::from(from) + (f64::from(to) - f64::from(from)) * share).round() as u8;
        Self(mix(self.0, goal.0), mix(self.1, goal.1), mix(self.2, goal.2))
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn contrasts_are_those_of_the_standard() {
        let of = |one: &str, other: &str| Colour::parse(one).unwrap().contrast(Colour::parse(other).unwrap());
        assert!((of("#000", "#ffffff") - 21.0).abs() < 1e-9);
        assert!((of("#777777", "#fff") - 4.48).abs() < 0.01);
        for bad in ["", "red", "#12", "#12345g", "#1234567", "#é12345"] {
            assert_eq!(Colour::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_colour_has_a_shade_that_can_be_read(red: u8, green: u8, blue: u8, text in ".{0,8}") {
            let _ = Colour::parse(&text);
            let colour = Colour(red, green, blue);
            prop_assert_eq!(Colour::parse(&colour.to_string()), Some(colour));
            for ground in [Colour::WHITE, Colour::DARK] {
                prop_assert!(colour.readable_on(ground).contrast(ground) >= Colour::READABLE);
            }
        }
    }
}
