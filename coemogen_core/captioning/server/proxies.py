"""Which proxy stands before a server: none before one on this machine, for others what the environment says."""

import ipaddress
import urllib.request
from urllib.parse import urlsplit

import httpx


def is_loopback(url: str) -> bool:
    """Whether an address is this machine's own."""
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def proxy_of(url: str) -> str | None:
    """The proxy that the environment names for this address (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY` and so on)."""
    parts = urlsplit(url)
    if not parts.hostname or is_loopback(url) or urllib.request.proxy_bypass(parts.hostname):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


def client_of(url: str, timeout_s: float) -> httpx.Client:
    """What the openai client asks a server through."""
    return httpx.Client(timeout=timeout_s, trust_env=not is_loopback(url), follow_redirects=True)


def async_client_of(url: str, timeout_s: float) -> httpx.AsyncClient:
    """The same for its asynchronous client."""
    return httpx.AsyncClient(timeout=timeout_s, trust_env=not is_loopback(url), follow_redirects=True)
