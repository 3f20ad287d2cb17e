//! The key that stands for this machine: an ed25519 key in OpenSSH's format.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use signature::Signer as _;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{LineEnding, PrivateKey, Signature};

use crate::store::error::RegistryError;

/// Makes the key if it is not there, and its `.pub` beside it.
/// Gives the public key as one line (`ssh-ed25519 AAAA...`).
///
/// # Errors
/// [`RegistryError::Key`] if the file cannot be read, written or understood.
pub fn ensure_key(path: &Path) -> Result<String, RegistryError> {
    load(path)?
        .public_key()
        .to_openssh()
        .map_err(|error| failed(path, &error))
}

/// What stands in the header `Authorization` of a request for a token: the public key and the
/// signature of `text`.
pub(super) fn authorization(path: &Path, text: &str) -> Result<String, RegistryError> {
    let key = load(path)?;
    let public = key
        .public_key()
        .to_bytes()
        .map_err(|error| failed(path, &error))?;
    let signature: Signature = key
        .try_sign(text.as_bytes())
        .map_err(|error| failed(path, &error))?;
    Ok(format!(
        "{}:{}",
        STANDARD.encode(public),
        STANDARD.encode(signature.as_bytes())
    ))
}

fn load(path: &Path) -> Result<PrivateKey, RegistryError> {
    match fs::read(path) {
        Ok(bytes) => PrivateKey::from_openssh(&bytes).map_err(|error| failed(path, &error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
        Err(error) => Err(failed(path, &error)),
    }
}

fn create(path: &Path) -> Result<PrivateKey, RegistryError> {
    let pair = Ed25519Keypair::from_seed(&rand::random());
    let key = PrivateKey::new(KeypairData::Ed25519(pair), "").map_err(|e| failed(path, &e))?;
    let private = key
        .to_openssh(LineEnding::LF)
        .map_err(|e| failed(path, &e))?;
    let public = key
        .public_key()
        .to_openssh()
        .map_err(|e| failed(path, &e))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|e| failed(path, &e))?;
    match write_new(folder, path, private.as_bytes(), 0o600) {
        // Someone else made a key in this moment: theirs counts.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return load(path),
        other => other.map_err(|e| failed(path, &e))?,
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    let _ = fs::remove_file(&beside);
    write_new(
        folder,
        Path::new(&beside),
        format!("{public}\n").as_bytes(),
        0o644,
    )
    .map_err(|e| failed(path, &e))?;
    Ok(key)
}

fn write_new(folder: &Path, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    Ok(())
}

fn failed(path: &Path, error: &dyn std::error::Error) -> RegistryError {
    RegistryError::Key {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use signature::Verifier as _;
    use ssh_key::PublicKey;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_signs() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(".ollama/id_ed25519");
        let line = ensure_key(&path).unwrap();
        assert!(line.starts_with("ssh-ed25519 "), "{line}");
        assert_eq!(ensure_key(&path).unwrap(), line);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            fs::read_to_string(path.with_extension("pub"))
                .unwrap()
                .trim(),
            line.trim()
        );

        let header = authorization(&path, "GET,https://h/token,x").unwrap();
        let (public, signature) = header.split_once(':').unwrap();
        assert_eq!(line.split(' ').nth(1).unwrap().trim(), public);
        let public = PublicKey::from_bytes(&STANDARD.decode(public).unwrap()).unwrap();
        let signature = Signature::new(
            ssh_key::Algorithm::Ed25519,
            STANDARD.decode(signature).unwrap(),
        )
        .unwrap();
        assert!(
            public
                .key_data()
                .verify(b"GET,https://h/token,x", &signature)
                .is_ok()
        );
        assert!(
            public
                .key_data()
                .verify(b"GET,https://h/other,x", &signature)
                .is_err()
        );
    }

    #[test]
    fn a_file_that_is_no_key_is_named() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("id_ed25519");
        fs::write(&path, "not a key").unwrap();
        let error = ensure_key(&path).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot use the key {}", path.display())),
            "{error}"
        );
    }
}
