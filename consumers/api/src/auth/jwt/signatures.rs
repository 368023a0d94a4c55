//! Signatures of tokens, checked by `ring`, which TLS has in the tree already. Nothing here signs, and no secret is ever shared: what is
//! checked with a public key alone.

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind},
    signature::{Error as Refused, Verifier},
};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: no_signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Has tokens checked by this, in this process.
pub(super) fn install() {
    // Fails where it is installed already.
    let _ = PROVIDER.install_default();
}

fn no_signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    Err(ErrorKind::UnsupportedAlgorithm.into())
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    let family = key.family();
    let verifier = match (algorithm, key.kind()) {
        (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
            Key::Rsa(RsaPublicKeyComponents { n: n.clone(), e: e.clone() })
        }
        (Algorithm::ES256, DecodingKeyKind::SecretOrDer(point))
            if family == AlgorithmFamily::Ec =>
        {
            Key::Plain(&ECDSA_P256_SHA256_FIXED, point.clone())
        }
        (Algorithm::EdDSA, DecodingKeyKind::SecretOrDer(point))
            if family == AlgorithmFamily::Ed =>
        {
            Key::Plain(&ED25519, point.clone())
        }
        // A secret that both sides share would let us make tokens, and a public key taken for one lets anybody.
        _ => return Err(ErrorKind::InvalidAlgorithm.into()),
    };
    Ok(Box::new(ByRing { algorithm: *algorithm, key: verifier }))
}

enum Key {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    Plain(&'static dyn VerificationAlgorithm, Vec<u8>),
}

struct ByRing {
    algorithm: Algorithm,
    key: Key,
}

impl Verifier<Vec<u8>> for ByRing {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), Refused> {
        let checked = match &self.key {
            Key::Rsa(key) => key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
            Key::Plain(how, key) => UnparsedPublicKey::new(*how, key).verify(message, signature),
        };
        checked.map_err(|_| Refused::new())
    }
}

impl JwtVerifier for ByRing {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
