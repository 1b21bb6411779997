"""What OAuth asks of every provider: PKCE's challenge, and secrets compared in constant time."""

import base64
import hashlib
import hmac


def challenge_of(verifier: str) -> str:
    """Return the PKCE S256 challenge of a verifier, unpadded."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def same_secret(left: str, right: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(left.encode(), right.encode())
