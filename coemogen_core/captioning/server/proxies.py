"""Which proxy stands before a server: none before one on this machine, for others what the environment says."""

import ipaddress
import os
import socket
import urllib.request
from urllib.parse import urlsplit

KINDS = ("http", "https", "socks5", "socks5h")
_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")


def is_loopback(url: str) -> bool:
    """Whether an address is this machine's own, in whatever way it is written (`127.1`, `::ffff:127.0.0.1`, this machine's name)."""
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    if host in ("localhost", "ip6-localhost", "ip6-loopback", socket.gethostname().lower()) or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            address = ipaddress.ip_address(socket.inet_ntoa(socket.inet_aton(host)))
        except (OSError, ValueError):
            return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def proxy_of(url: str) -> str | None:
    """The proxy that the environment names for this address (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY` and so on), with its scheme.

    Raises:
        ValueError: it is none that can be used; the message names the variable.
    """
    parts = urlsplit(url)
    if not parts.hostname or is_loopback(url) or urllib.request.proxy_bypass(parts.hostname):
        return None
    proxies = urllib.request.getproxies()
    kind = parts.scheme if proxies.get(parts.scheme) else "all"
    proxy = proxies.get(kind)
    return _checked(proxy, f"{kind.upper()}_PROXY") if proxy else None


def require_usable_proxies() -> None:
    """Raises ValueError where a proxy that the environment names cannot be used; what reads it later would not say which."""
    for name, value in os.environ.items():
        if value and name.lower() in _VARIABLES:
            _checked(value, name)


def _checked(proxy: str, variable: str) -> str:
    """The proxy with its scheme, which many leave out."""
    whole = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(whole)
        usable = parts.scheme in KINDS and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is no number
        usable = False
    if not usable:
        wanted = ", ".join(f"{kind}://host:port" for kind in KINDS)
        raise ValueError(f"the variable {variable} names {proxy!r}, which is no proxy that can be used: give {wanted}, or unset it")
    return whole
