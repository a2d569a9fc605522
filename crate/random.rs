//! Random numbers by seed and place: the same on every platform, and whoever goes on with an answer
//! elsewhere has the same ones.

/// The number at a place of the series of a seed, uniform in 0..1. Steele, Lea and Flood's
/// SplitMix64: a counter and a mixer.
pub fn unit(seed: u64, place: u64) -> f64 {
    (mixed(seed, place) >> 11) as f64 / (1u64 << 53) as f64
}

fn mixed(seed: u64, place: u64) -> u64 {
    let mut z = seed.wrapping_add(place.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        let first = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
        ];
        assert_eq!([0, 1, 2, 3].map(|place| mixed(1_234_567, place)), first);
    }
}
