//! Guessing, slowed: of one website, of one client, and of all tokens together, so many different
//! wrong credentials are checked within a window; after that, none that is not known.
//!
//! A credential that was good when it was last checked, within a day, is known: nobody who guesses
//! at a key keeps those who have it out. It is checked as ever, so that it is refused once revoked.
//! The same wrong credential again is no guess, and counts once: a client that was not told of a new
//! key does not keep out those that were.
//!
//! **Invariant:** what was refused unchecked tells nothing about the credential.
//! **Invariant:** however many good credentials one website or client shows, those of others stay known;
//! however many websites and clients are named, what was guessed at one stays counted.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use atropos::auth::AuthError;
use atropos::fair_cache::FairCache;
use atropos::ports::StoreError;
use atropos::target::{Digest, WebsiteId};

use super::windows::{Guess, Windows};
use crate::config;

/// For how long a credential is known that is not used.
const KNOWN_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// How many credentials are known, and how many subjects watched, at most.
const CAPACITY: usize = 1 << 16;

/// Whose credential is guessed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// The site keys of one website, whether it exists or not.
    Website(WebsiteId),
    /// The secret of one client, whether it exists or not, by the digest of what it is called.
    Client(Digest),
    /// All bearer tokens: they do not say whose they are.
    Tokens,
}

impl Subject {
    /// A client, by what it is called.
    pub(super) fn client(name: &str) -> Self {
        Self::Client(Digest::of(name.as_bytes()))
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Website(_) => "site-key",
            Self::Client(_) => "client-secret",
            Self::Tokens => "token",
        }
    }
}

/// Slows guessing. Cheap to clone.
#[derive(Clone)]
pub(super) struct Throttle {
    config: config::Auth,
    /// Which credentials are known, each as one of the website or client that has it.
    known: Arc<FairCache<Subject, (Subject, Digest)>>,
    windows: Arc<Windows<Subject>>,
}

impl Throttle {
    pub(super) fn new(config: config::Auth) -> Self {
        Self::with_capacity(config, CAPACITY)
    }

    fn with_capacity(config: config::Auth, capacity: usize) -> Self {
        let window = Duration::from_millis(config.window_ms);
        Self {
            config,
            known: Arc::new(FairCache::new(capacity, KNOWN_FOR)),
            windows: Arc::new(Windows::new(capacity, window)),
        }
    }

    /// Whom `check` finds behind a credential, if it may be checked now; `owner` tells whose it is.
    ///
    /// # Errors
    /// [`AuthError::Rejected`] if it finds nobody, [`AuthError::Throttled`] if it is not asked.
    pub(super) async fn guard<T>(
        &self,
        subject: Subject,
        credential: Digest,
        check: impl Future<Output = Result<Option<T>, StoreError>>,
        owner: impl FnOnce(&T) -> Subject,
    ) -> Result<T, AuthError> {
        let known = self.known.contains(&(subject, credential));
        if !known {
            self.attempt(subject, credential)?;
        }
        let found = check.await;
        if !known && !matches!(found, Ok(None)) {
            self.windows.forgive(subject, beginning(credential));
        }
        match found? {
            Some(found) => {
                if !known {
                    self.trust(owner(&found), subject, credential);
                }
                Ok(found)
            }
            None => {
                metrics::counter!("atropos_auth_failures_total", "credential" => subject.as_str())
                    .increment(1);
                Err(AuthError::Rejected)
            }
        }
    }

    /// From now on the credential is known, as one of `owner`.
    pub(super) fn trust(&self, owner: Subject, subject: Subject, credential: Digest) {
        self.known.insert(owner, (subject, credential));
    }

    /// Counts a credential as wrong until it turns out to be good, so that of many at once no more
    /// are checked than of as many one by one.
    fn attempt(&self, subject: Subject, credential: Digest) -> Result<(), AuthError> {
        let most = match subject {
            Subject::Tokens => self.config.token_failures,
            Subject::Website(_) | Subject::Client(_) => self.config.failures,
        };
        let attempt = self
            .windows
            .attempt(subject, beginning(credential), most as usize);
        let Err(too_many) = attempt else {
            return Ok(());
        };
        let left_ms = u64::try_from(too_many.left.as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        let credential = subject.as_str();
        metrics::counter!("atropos_auth_throttled_total", "credential" => credential).increment(1);
        if too_many.first {
            tracing::warn!(
                credential,
                left_ms,
                "too many wrong credentials: none that is not known is checked for a while"
            );
        }
        Err(AuthError::Throttled(left_ms))
    }
}

fn beginning(credential: Digest) -> Guess {
    let mut beginning = [0; 8];
    for (to, from) in beginning.iter_mut().zip(credential.0) {
        *to = from;
    }
    beginning
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_millis(300);

    fn throttle() -> Throttle {
        Throttle::new(CONFIG)
    }

    const CONFIG: config::Auth = config::Auth {
        failures: 3,
        token_failures: 2,
        window_ms: 300,
        client_tokens: 10,
    };

    fn website(id: u64) -> Subject {
        Subject::Website(WebsiteId::new(id).unwrap())
    }

    fn client(name: &str) -> Subject {
        Subject::client(name)
    }

    #[tokio::test]
    async fn tokens_of_one_client_without_end_leave_those_of_others_known() {
        let throttle = Throttle::with_capacity(CONFIG, 100);
        let token = |nth: u32| Digest::of(&nth.to_be_bytes());
        let other = Digest::of(b"other");
        throttle.trust(client("other"), Subject::Tokens, other);
        for nth in 0..10_000 {
            throttle.trust(client("greedy"), Subject::Tokens, token(nth));
        }
        let fresh = Digest::of(b"fresh");
        throttle.trust(client("fresh"), Subject::Tokens, fresh);
        for word in ["a", "b", "c"] {
            ask(&throttle, Subject::Tokens, word, false).await;
        }
        for word in ["other", "fresh"] {
            assert_eq!(ask(&throttle, Subject::Tokens, word, true).await, "good");
        }
        let own = throttle.known.contains(&(Subject::Tokens, token(9_999)));
        assert!(own, "its own oldest went");
    }

    #[tokio::test]
    async fn naming_websites_and_clients_without_end_makes_no_guess_undone() {
        let throttle = Throttle::with_capacity(
            config::Auth {
                window_ms: 3_600_000,
                ..CONFIG
            },
            100,
        );
        for word in ["a", "b", "c"] {
            ask(&throttle, website(1), word, false).await;
        }
        for id in 2..2000 {
            ask(&throttle, website(id), "a", false).await;
            ask(&throttle, client(&id.to_string()), "a", false).await;
        }
        let guess = Digest::of(b"d");
        let check = async { Ok(Some(())) };
        let answer = throttle.guard(website(1), guess, check, |()| website(1));
        assert!(matches!(answer.await, Err(AuthError::Throttled(_))));
    }

    /// What becomes of a credential that is the right one or not.
    async fn ask(throttle: &Throttle, subject: Subject, word: &str, right: bool) -> &'static str {
        let check = async { Ok(right.then_some(())) };
        let digest = Digest::of(word.as_bytes());
        match throttle.guard(subject, digest, check, |()| subject).await {
            Ok(()) => "good",
            Err(AuthError::Rejected) => "wrong",
            Err(AuthError::Throttled(ms)) if (1..=300).contains(&ms) => "wait",
            Err(other) => panic!("{other}"),
        }
    }

    #[tokio::test]
    async fn so_many_guesses_are_checked_within_a_window_and_no_more() {
        let throttle = throttle();
        for (word, answer) in [
            ("a", "wrong"),
            ("b", "wrong"),
            ("c", "wrong"),
            ("d", "wait"),
        ] {
            assert_eq!(
                ask(&throttle, website(1), word, false).await,
                answer,
                "{word}"
            );
        }
        // Not even the right one, or a guess that is right would get through as well.
        assert_eq!(ask(&throttle, website(1), "right", true).await, "wait");
        assert_eq!(ask(&throttle, website(2), "right", true).await, "good");
        tokio::time::sleep(WINDOW).await;
        assert_eq!(ask(&throttle, website(1), "right", true).await, "good");
    }

    #[tokio::test]
    async fn what_is_known_is_checked_as_ever() {
        let throttle = throttle();
        assert_eq!(ask(&throttle, website(1), "right", true).await, "good");
        for word in ["a", "b", "c", "d"] {
            ask(&throttle, website(1), word, false).await;
        }
        assert_eq!(ask(&throttle, website(1), "right", true).await, "good");
        // Revoked meanwhile.
        assert_eq!(ask(&throttle, website(1), "right", false).await, "wrong");
        // Known at one website is not known at another.
        for word in ["a", "b", "c", "d"] {
            ask(&throttle, website(2), word, false).await;
        }
        assert_eq!(ask(&throttle, website(2), "right", true).await, "wait");
    }

    #[tokio::test]
    async fn the_same_again_is_no_guess() {
        let throttle = throttle();
        for _ in 0..9 {
            assert_eq!(ask(&throttle, website(1), "old", false).await, "wrong");
        }
        assert_eq!(ask(&throttle, website(1), "new", true).await, "good");
    }

    #[tokio::test]
    async fn tokens_are_one_subject_with_a_bound_of_their_own() {
        let throttle = throttle();
        for (word, answer) in [("a", "wrong"), ("b", "wrong"), ("c", "wait")] {
            assert_eq!(ask(&throttle, Subject::Tokens, word, false).await, answer);
        }
        let issued = Digest::of(b"issued");
        throttle.trust(client("a"), Subject::Tokens, issued);
        assert_eq!(
            ask(&throttle, Subject::Tokens, "issued", true).await,
            "good"
        );
    }

    #[tokio::test]
    async fn storage_that_fails_is_nobody_s_guess() {
        let throttle = throttle();
        for word in ["a", "b", "c", "d", "e"] {
            let check = async { Err::<Option<()>, _>(StoreError::Missing { what: "row" }) };
            let digest = Digest::of(word.as_bytes());
            let answer = throttle.guard(website(1), digest, check, |()| website(1));
            let answer = answer.await;
            assert!(matches!(answer, Err(AuthError::Unavailable(_))), "{word}");
        }
        assert_eq!(ask(&throttle, website(1), "right", true).await, "good");
    }
}
