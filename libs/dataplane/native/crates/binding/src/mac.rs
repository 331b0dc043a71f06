//! HMACs for the control loop. A STUN message is short: what an HMAC costs there is the call, and memory for its parts.

use hmac::digest::OutputSizeUser;
use hmac::{Hmac, KeyInit, Mac};
use napi::bindgen_prelude::Uint8Array;
use napi::{Error, Result};
use napi_derive::napi;
use sha1::Sha1;
use sha2::Sha256;

/// Computes HMACs in memory that it shares with its caller, who writes the key to the beginning of it and the data after
/// the key, and finds the HMAC at the beginning. The key does not stay there.
#[napi]
pub struct SharedMac {
    memory: Uint8Array,
}

#[napi]
impl SharedMac {
    #[napi(constructor)]
    pub fn new(memory: Uint8Array) -> Self {
        Self { memory }
    }

    /// HMAC-SHA1, 20 bytes. Both lengths are in bytes.
    #[napi]
    pub fn sha1(&mut self, key: u32, data: u32) -> Result<()> {
        self.compute::<Hmac<Sha1>>(key as usize, data as usize)
    }

    /// HMAC-SHA256, 32 bytes.
    #[napi]
    pub fn sha256(&mut self, key: u32, data: u32) -> Result<()> {
        self.compute::<Hmac<Sha256>>(key as usize, data as usize)
    }

    fn compute<M: Mac + KeyInit + OutputSizeUser>(&mut self, key: usize, data: usize) -> Result<()> {
        // SAFETY: the memory is JavaScript's, which does not run while its thread is here, and no other thread has it.
        let memory = unsafe { self.memory.as_mut() };
        let too_long = || Error::from_reason("longer than the memory");
        let (parts, _) = memory.split_at_mut_checked(key + data).ok_or_else(too_long)?;
        let (key, data) = parts.split_at_mut(key);
        let mut mac = M::new_from_slice(key).map_err(|error| Error::from_reason(error.to_string()))?;
        mac.update(data);
        key.fill(0);
        let code = mac.finalize().into_bytes();
        memory
            .get_mut(..code.len())
            .ok_or_else(too_long)?
            .copy_from_slice(&code);
        Ok(())
    }
}
