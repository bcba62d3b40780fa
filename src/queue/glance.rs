//! Comparing one offer with 64 lanes at once, in two versions that agree: with AVX2 where the
//! machine has it, else in plain loops, which compilers turn into whatever vectors there are.
//!
//! The measured reason for the former, and with it for `unsafe`: some hundred instructions of a decision
//! (docs/decisions/0009).
//!
//! G1  Both versions of a function give the same for all arguments.

#![expect(unsafe_code, reason = "instructions of the machine at hand, found at run time")]

use super::open::{BLOCK_LEN, Codes};
use crate::model::RESOURCES_MAX;

/// Codes of a block, by resource, then by column.
pub(super) type BlockCodes = [[u16; BLOCK_LEN]; RESOURCES_MAX];

/// Which version is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Machine {
    Any,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Default for Machine {
    fn default() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("avx2") {
            return Self::Avx2;
        }
        Self::Any
    }
}

impl Machine {
    /// A bit for each column of which no code is above that of `free`. Only the first
    /// `n_resources` are compared.
    pub(super) fn fits(self, codes: &BlockCodes, free: &Codes, n_resources: usize) -> u64 {
        match self {
            Self::Any => fits(codes, free, n_resources),
            // SAFETY: `Avx2` is only made where the machine has it.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::fits(codes, free, n_resources) },
        }
    }

    /// Where `column` stands in `order`; 64 where it does not.
    pub(super) fn place_of(self, order: &[u8; BLOCK_LEN], column: u8) -> usize {
        match self {
            Self::Any => order.iter().position(|other| *other == column).unwrap_or(BLOCK_LEN),
            // SAFETY: `Avx2` is only made where the machine has it.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::place_of(order, column) },
        }
    }
}

fn fits(codes: &BlockCodes, free: &Codes, n_resources: usize) -> u64 {
    let mut over = [0_u16; BLOCK_LEN];
    for (of_resource, have) in codes.iter().zip(free).take(n_resources) {
        for (over, ask) in over.iter_mut().zip(of_resource) {
            *over |= ask.saturating_sub(*have);
        }
    }
    let mut fits = [0_u8; BLOCK_LEN];
    for (fit, over) in fits.iter_mut().zip(over) {
        *fit = u8::from(over == 0);
    }
    // Eight flags of a byte each become eight bits by one multiplication.
    let bits = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    let words = fits.as_chunks::<8>().0;
    words.iter().rev().fold(0, |sum, bytes| sum << 8 | bits(bytes))
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m256i, _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_cmpeq_epi16, _mm256_loadu_si256,
        _mm256_max_epu16, _mm256_movemask_epi8, _mm256_packs_epi16, _mm256_permute4x64_epi64,
        _mm256_set1_epi8, _mm256_set1_epi16,
    };

    use super::{BLOCK_LEN, BlockCodes, Codes};

    /// Sixteen codes from column `16 * at` on.
    #[target_feature(enable = "avx2")]
    fn load(codes: &[u16; BLOCK_LEN], at: usize) -> __m256i {
        let part: &[u16; 16] = &codes.as_chunks().0[at];
        // SAFETY: the 32 bytes of `part` are read, from any alignment.
        unsafe { _mm256_loadu_si256(part.as_ptr().cast()) }
    }

    /// Thirty-two bytes from `32 * at` on.
    #[target_feature(enable = "avx2")]
    fn load_bytes(bytes: &[u8; BLOCK_LEN], at: usize) -> __m256i {
        let part: &[u8; 32] = &bytes.as_chunks().0[at];
        // SAFETY: the 32 bytes of `part` are read, from any alignment.
        unsafe { _mm256_loadu_si256(part.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx2")]
    fn mask(bytes: __m256i) -> u64 {
        u64::from(_mm256_movemask_epi8(bytes).cast_unsigned())
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn fits(codes: &BlockCodes, free: &Codes, n_resources: usize) -> u64 {
        let mut fits = [_mm256_set1_epi8(-1); 4];
        for (of_resource, have) in codes.iter().zip(free).take(n_resources) {
            let have = _mm256_set1_epi16(have.cast_signed());
            for (at, fits) in fits.iter_mut().enumerate() {
                let most = _mm256_max_epu16(load(of_resource, at), have);
                *fits = _mm256_and_si256(*fits, _mm256_cmpeq_epi16(most, have));
            }
        }
        // Packing works within halves of a register: the permutation puts the quarters in order.
        let bytes = |low, high| _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi16(low, high));
        mask(bytes(fits[0], fits[1])) | mask(bytes(fits[2], fits[3])) << 32
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn place_of(order: &[u8; BLOCK_LEN], column: u8) -> usize {
        let column = _mm256_set1_epi8(column.cast_signed());
        let is_it = |at| mask(_mm256_cmpeq_epi8(load_bytes(order, at), column));
        (is_it(0) | is_it(1) << 32).trailing_zeros() as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_code() -> impl Strategy<Value = u16> {
        prop_oneof![0..4_u16, any::<u16>(), Just(u16::MAX), Just(0x7FFF), Just(0x8000)]
    }

    proptest! {
        #[test]
        fn both_versions_give_what_the_definition_says(
            codes in proptest::collection::vec(any_code(), BLOCK_LEN * RESOURCES_MAX),
            free in proptest::array::uniform16(any_code()),
            n_resources in 0..=RESOURCES_MAX,
            column in 0..80_u8,
        ) {
            let codes: BlockCodes = std::array::from_fn(|r| std::array::from_fn(|c| codes[r * BLOCK_LEN + c]));
            let fits_at = |c: usize| (0..n_resources).all(|r| codes[r][c] <= free[r]);
            let expected = (0..BLOCK_LEN).fold(0_u64, |mask, c| mask | u64::from(fits_at(c)) << c);
            let order: [u8; BLOCK_LEN] = std::array::from_fn(|at| u8::try_from(at * 29 % 64).expect("small"));
            let place = order.iter().position(|other| *other == column).unwrap_or(BLOCK_LEN);
            for machine in [Machine::Any, Machine::default()] {
                prop_assert_eq!(machine.fits(&codes, &free, n_resources), expected, "{:?}", machine);
                prop_assert_eq!(machine.place_of(&order, column), place, "{:?}", machine);
            }
        }
    }
}
