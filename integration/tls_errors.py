"""What a connection with TLS that cannot be means, in one line that says what to correct."""

from __future__ import annotations

import ssl

_OTHER_NAME = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL."""
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")


def refusal(who: str, section: str, error: BaseException | None) -> str | None:
    """None when neither the error nor one of its causes is about TLS.

    `who` is the server ("the master at HOST:PORT"), `section` that of the configuration which has the files.
    """
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    if error is None:
        return None
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message.rstrip(".")
        if error.verify_code in _OTHER_NAME:
            return (
                f"the certificate of {who} is for another name ({why}); reach it by the name in its certificate, "
                f"give it a certificate with this name, or set {section}.check_hostname = false"
            )
        return f"the certificate of {who} is not trusted ({why}); correct {section}.ca_file"
    reason = getattr(error, "reason", None) or str(error)
    said = reason.lower().replace("_", " ")
    if any(each in reason for each in _NO_TLS):
        return f"{who} does not speak TLS there ({said}); correct its port, or do without TLS"
    if "CERTIFICATE" in reason:
        return f"{who} refuses our certificate ({said}); correct {section}.cert_file and {section}.key_file"
    if "HANDSHAKE_FAILURE" in reason:
        files = f"{section}.cert_file and {section}.key_file"
        return f"{who} ends the handshake ({said}); correct the ciphers that it allows, or {files}"
    return f"TLS with {who} fails: {said}"
