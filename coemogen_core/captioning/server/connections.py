"""How servers are connected to: past every proxy where they are this machine's own."""

from typing import Any

import aiohttp
import httpx2

from coemogen_core.captioning.server.proxies import is_loopback, proxy_of


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
    return httpx2.Client(timeout=timeout_s, proxy=proxy_of(url), trust_env=not is_loopback(url), follow_redirects=True)


def async_client_of(url: str, timeout_s: float) -> httpx2.AsyncClient:
    """The same for its asynchronous client."""
    return httpx2.AsyncClient(timeout=timeout_s, proxy=proxy_of(url), trust_env=not is_loopback(url), follow_redirects=True)
