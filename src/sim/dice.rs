//! The one source of chance of a run: the same seed gives the same run.

/// See the file.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub(super) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// A number below `n`.
    pub(super) fn roll<T: TryFrom<u64, Error: std::fmt::Debug>>(&mut self, n: u64) -> T {
        T::try_from(self.draw() % n).expect("small")
    }

    /// True in so many of a hundred cases.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.draw() % 100 < percent
    }

    /// One of them; none where there is none.
    pub(super) fn pick<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        if all.is_empty() { None } else { Some(all[self.roll::<usize>(all.len() as u64)]) }
    }

    /// A place in `weights`, each as often as it says.
    pub(super) fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut rest = self.draw() % weights.iter().sum::<u64>();
        for (at, weight) in weights.iter().enumerate() {
            match rest.checked_sub(*weight) {
                None => return at,
                Some(less) => rest = less,
            }
        }
        unreachable!("it is below the sum")
    }
}
