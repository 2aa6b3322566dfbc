"""Which proxy stands before a server: none before one on this machine, for others what the environment says."""

import ipaddress
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx2


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


def connections(url: str) -> dict[str, Any]:
    """How an aiohttp session connects to a server, as its arguments; must be called in the event loop. No limit: who asks counts."""
    proxy = proxy_of(url)
    if proxy is None or not proxy.startswith("socks"):
        return {"connector": aiohttp.TCPConnector(limit=0), "proxy": proxy}
    from aiohttp_socks import ProxyConnector  # here: next to nobody needs it

    kind, _, address = proxy.partition("://")
    return {"connector": ProxyConnector.from_url(f"{kind.removesuffix('h')}://{address}", rdns=True, limit=0)}


def client_of(url: str, timeout_s: float) -> httpx2.Client:
    """What the openai client asks a server through."""
    return httpx2.Client(timeout=timeout_s, trust_env=not is_loopback(url), follow_redirects=True)


def async_client_of(url: str, timeout_s: float) -> httpx2.AsyncClient:
    """The same for its asynchronous client."""
    return httpx2.AsyncClient(timeout=timeout_s, trust_env=not is_loopback(url), follow_redirects=True)
