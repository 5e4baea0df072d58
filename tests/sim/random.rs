//! The one source of chance of a run: everything that is not fixed is drawn from here, so that a
//! seed says everything. Owns no choice itself.

use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood 2014): one word of state, and every seed is as good as another.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// Another one, told by this one, which is none the wiser: what is drawn there changes nothing
    /// of what is drawn here.
    pub fn fork(&self) -> Random {
        Random(self.0.rotate_left(32) ^ 0x6a09_e667_f3bc_c909)
    }

    /// Sixty-four random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Even over `0..limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        assert!(limit > 0, "nothing to choose from");
        ((u128::from(self.bits()) * u128::from(limit)) >> 64) as u64
    }

    /// Even over `1..=limit`.
    pub fn one_to(&mut self, limit: u64) -> u64 {
        1 + self.below(limit)
    }

    /// True `thousandths` times out of a thousand.
    pub fn chance(&mut self, thousandths: u32) -> bool {
        thousandths > 0 && self.below(1000) < u64::from(thousandths)
    }

    /// Even over the choices; one that is named twice is twice as likely.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// Even over `0..=longest`.
    pub fn up_to(&mut self, longest: Duration) -> Duration {
        let nanoseconds = u64::try_from(longest.as_nanos()).expect("less than five centuries");
        Duration::from_nanos(self.below(nanoseconds + 1))
    }
}
