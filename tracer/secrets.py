"""What looks like a secret in any text, and the names of those that look like nothing.

Every pattern takes linear time: what repeats begins at a fixed word or behind a character that it cannot contain, or is
bounded.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from ddmiddleware.tracing.accelerator import accelerator

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Iterable

REDACTED = "<redacted>"

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_a-zA-Z]+")
# A name is read as its words: apiKey, X-Api-Key and api_key are _api_key_.
_NAMES = re.compile(
    r"password|passwd|passphrase|(?:secret|credential|cookie|apikey|privatekey|secretkey|accesskey)s?_"
    r"|(?:token|authorization|sessionid)_|_(?:pwd|jwt|cvv|cvc|ssn|csrf|xsrf|sid)_|_session_(?:id|key)_|_card_number_"
    r"|_(?:api|private|access|secret|signing|encryption|account|master|shared)_keys?_|^_auth_$"
)
_ABOUT = re.compile(  # what is said of a secret is none
    r"_(?:count|length|len|size|type|ttl|limit|enabled|expiry|expires|expires_in|policy|required|valid|url|uri)_$"
)
_NAMES_IN_TEXT = re.compile(r"_(?:pass|pw|sig|signature|credentials?)_")

_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]{1,40}-----.*?(?:-----END [A-Z0-9 ]{1,40}-----|\Z)", re.DOTALL)
_AUTHORITY = re.compile(r"://([^\s<>]*)")
_USER_WITHOUT_SCHEME = re.compile(r"(?<![\w/:@.+-])[\w.+-]{1,64}:[^\s/@:]{1,128}@(?=[\w\[(])")
_PARAMETER = re.compile(r"([?&;#][^\s=&;?#]{1,200}=)([^\s&;#]*)")
_PAIR = re.compile(
    r"(?<![\w.-])([\w.-]+)"
    r"(?:[\"']?\]?\s{0,3}(?:=>|:=|={1,3}|:(?!//))\s{0,3}|[\"']\s{0,3},\s{0,3}(?=[bBuU]?[\"']))"
)
_OPTION = re.compile(r"(?<![\w-])--([\w-]+)\s{1,3}(?=[^\s-])")
_QUOTED = (
    r"[bBuUrRfF]{0,2}(?:\"[^\"\\]*(?:\\.[^\"\\]*)*(?:\"|\\?\Z)|'[^'\\]*(?:\\.[^'\\]*)*(?:'|\\?\Z))"
    r"|[\[({]\s{0,3}[bBuU]?[\"'][^\])}]*[\])}]?"
)
_QUOTED_VALUE = re.compile(_QUOTED, re.DOTALL)
_VALUE = re.compile(
    rf"{REDACTED}|{_QUOTED}|(?:(?:bearer|basic|digest|token|negotiate)\s{{1,3}})?[^\s;&]+", re.DOTALL | re.IGNORECASE
)
_REST_OF_LINE = re.compile(rf"{REDACTED}|{_QUOTED}|[^\r\n]*", re.DOTALL)
_BEARER = re.compile(
    r"\b(bearer|basic(?=(?:\s{1,3}|%20|\+)\w+(?-i:[A-Z\d=])))(\s{1,3}|%20|\+)"
    r"(?!(?:auth\w*|tokens?|access|scheme|realm)\b)[\w.~+/=-]{6,}",
    re.IGNORECASE,
)
_TOKENS = re.compile(
    r"eyJ[\w.=-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{12,}|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
    r"|xox[abeoprs]-[\w-]{10,}|(?:sk|rk|pk|whsec)_(?:live|test)?_?\w{16,}|sk-[\w-]{20,}|AIza[\w-]{30,}|SG\.[\w.-]{30,}"
)
_CARD = re.compile(
    r"[2-6](?<!\d.)(?<!\d\..)(?:\d{12,18}|\d{3}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{3}[ -]\d{6}[ -]\d{4,5})(?![ -]?\d)"
)
_CARD_DIGITS_MIN = 13
_EMAIL = re.compile(
    r"(?<![\w.+'-])(?:[\w.+'-]|%(?!40)[0-9A-Fa-f]{2})+(?:@|%40)(?:[\w-]+\.)+[^\W\d_]{2,}", re.IGNORECASE
)
_LONG = re.compile(r"(?=[\w.~+/=-]*\d)(?=[\w.~+/=-]*[A-Za-z])[\w.~+/=-]{20,}")


# One of these is in every text for which the slower patterns have a use.
_HINTS = (
    *("pass", "pw", "secret", "token", "key", "auth", "cred", "cookie", "sess", "sid", "card", "sig", "cvv", "cvc"),
    *("ssn", "jwt", "srf", "bearer", "basic", "-----begin "),
)
_BEGINNINGS = ("eyJ", "AKIA", "ASIA", "gh", "glpat-", "xox", "k_", "whsec_", "sk-", "AIza", "SG.")


class Secrets:
    """Finds secrets; *keys* are more names of them, *parameters* is a pattern of them in queries.

    With *queries* False the parameters of URLs stay, but for what looks like a secret anywhere.
    """

    def __init__(self, keys: Iterable[str] = (), parameters: str = "", queries: bool = True) -> None:
        self._keys = [_words(key) for key in keys]
        self._parameters = re.compile(parameters) if parameters else None
        self._queries = queries

    def named(self, name: str, text: bool = False) -> bool:
        """Return whether *name* is that of a secret; in *text* and queries more names are than of tags."""
        words = _words(name)
        if any(key in words for key in self._keys):
            return True
        if _NAMES.search(words):
            return not _ABOUT.search(words)
        return text and bool(_NAMES_IN_TEXT.search(words))

    def without(self, text: str, source: bool = False) -> str:
        """Return *text* with ``<redacted>`` for each secret; in *source* code, names have secrets in quotes only."""
        if self._queries and "=" in text and ("?" in text or "&" in text or ";" in text or "#" in text):
            text = _PARAMETER.sub(self._parameter, text)
            if self._parameters is not None:
                text = self._parameters.sub(REDACTED, text)
        return self._outside_queries(text, source)

    def _outside_queries(self, text: str, source: bool) -> str:
        if "@" in text or "%40" in text:
            text = _AUTHORITY.sub(_without_user, text)
            text = _USER_WITHOUT_SCHEME.sub(f"{REDACTED}@", text)
            text = _EMAIL.sub(REDACTED, text)
        if self._keys or holds(text.lower(), _HINTS):
            text = _PEM.sub(REDACTED, text)
            text = self._pairs(text, _PAIR, source)
            if "--" in text and not source:
                text = self._pairs(text, _OPTION, source)
            text = _BEARER.sub(rf"\1\2{REDACTED}", text)
        if holds(text, _BEGINNINGS):
            text = _TOKENS.sub(REDACTED, text)
        return _CARD.sub(_card, text) if has_digits(text, _CARD_DIGITS_MIN) else text

    def _parameter(self, found: re.Match[str]) -> str:
        name, value = unquote(found[1][1:-1]), unquote(found[2])
        named = name.lower() == "key" or self.named(name, text=True)
        if value and (named or _LONG.fullmatch(value) or self._outside_queries(value, False) != value):
            return found[1] + REDACTED
        return found[0]

    def _pairs(self, text: str, pattern: re.Pattern[str], source: bool) -> str:
        """Replace what stands behind the name of a secret."""
        parts, done = [], 0
        for pair in pattern.finditer(text):
            if pair.start() < done or not self.named(pair[1], text=True):
                continue
            if not self._queries and text[max(pair.start() - 1, 0)] in "?&;#":
                continue  # a parameter of a URL
            words = _words(pair[1])
            header = not source and ("cookie" in words or "authorization" in words)
            value = (_QUOTED_VALUE if source else _REST_OF_LINE if header else _VALUE).match(text, pair.end())
            if value is not None and value[0]:
                parts += [text[done : value.start()], REDACTED]
                done = value.end()
        return "".join(parts) + text[done:] if parts else text


def holds_in_python(text: str, words: tuple[str, ...]) -> bool:
    """Say whether one of *words* is in *text*."""
    for word in words:  # noqa: SIM110 - any() takes twice as long
        if word in text:
            return True
    return False


def has_digits_in_python(_text: str, _count: int) -> bool:
    """Say whether *text* may hold *count* digits: counting them takes longer than the pattern."""
    return True


holds = holds_in_python if accelerator is None else accelerator.holds
has_digits = has_digits_in_python if accelerator is None else accelerator.has_digits


def _words(name: str) -> str:
    return f"_{'_'.join(_WORDS.findall(name))}_".lower()


def _without_user(found: re.Match[str]) -> str:
    """Return what follows a scheme without user and password, also where these hold characters that they must not."""
    rest = found[1]
    end = next((index for index, character in enumerate(rest) if character in "/?#"), len(rest))
    at = rest.rfind("@", 0, end)
    if at < 0 and "@" in rest:
        host, colon, port = rest[:end].partition(":")
        web = found.string[max(found.start() - 5, 0) : found.start()].lower().endswith(("http", "https"))
        if colon and not host.startswith("[") and (not port.isdigit() or not web):
            at = rest.rfind("@")  # a slash or such in a password
    return "://" + rest[at + 1 :]


def _card(found: re.Match[str]) -> str:
    """Replace the number of a payment card: one whose check digit is right (ISO/IEC 7812-1, annex B)."""
    total = 0
    for index, character in enumerate(reversed(found[0].replace(" ", "").replace("-", ""))):
        digit = int(character) * (1 + index % 2)
        total += digit - 9 if digit > 9 else digit
    return found[0] if total % 10 else REDACTED
