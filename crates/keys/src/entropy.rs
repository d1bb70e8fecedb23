//! Randomness as an argument.

/// A source of uniformly random bytes that nobody can predict.
///
/// Production passes the operating system's generator, the simulator a seeded one.
pub trait Entropy {
    /// Overwrites `out` with random bytes.
    fn fill(&mut self, out: &mut [u8]);

    /// `N` random bytes.
    fn array<const N: usize>(&mut self) -> [u8; N]
    where
        Self: Sized,
    {
        random(self)
    }
}

impl<F: FnMut(&mut [u8])> Entropy for F {
    fn fill(&mut self, out: &mut [u8]) {
        self(out);
    }
}

pub(crate) fn random<const N: usize>(entropy: &mut (impl Entropy + ?Sized)) -> [u8; N] {
    let mut out = [0; N];
    entropy.fill(&mut out);
    out
}

/// An [`Entropy`] in the shape that `hpke` and `ed25519-consensus` ask for.
pub(crate) struct Rng<'a, E: ?Sized>(pub(crate) &'a mut E);

impl<E: Entropy + ?Sized> rand_core::TryRng for Rng<'_, E> {
    type Error = rand_core::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(u32::from_le_bytes(random(self.0)))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(u64::from_le_bytes(random(self.0)))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill(out);
        Ok(())
    }
}

impl<E: Entropy + ?Sized> rand_core::TryCryptoRng for Rng<'_, E> {}

impl<E: Entropy + ?Sized> rand_core_06::RngCore for Rng<'_, E> {
    fn next_u32(&mut self) -> u32 {
        u32::from_le_bytes(random(self.0))
    }

    fn next_u64(&mut self) -> u64 {
        u64::from_le_bytes(random(self.0))
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        self.0.fill(out);
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rand_core_06::Error> {
        self.0.fill(out);
        Ok(())
    }
}

impl<E: Entropy + ?Sized> rand_core_06::CryptoRng for Rng<'_, E> {}
