"""
The cross-domain transformer between encoders and decoders (Rouard et al. 2022, section 3.1, figure 1).

Even layers, counted from 0, attend within a branch; odd ones let each branch query the other as it was before
the layer. All is pre-norm with LayerScale, and each layer closes with a GroupNorm(1) over its tokens.

Shapes: B batch, N tokens (F x T row by row in the spectral branch, T in the waveform branch), C channels.
"""

import math
from functools import lru_cache
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stemsplit.model.config import HTDemucsConfig
from stemsplit.model.layers import LayerScale, normalise

_MAX_PERIOD = 10_000.0  # of the slowest sinusoid, in tokens (Vaswani et al. 2017, section 3.5)
_LAYER_SCALE = 1e-4  # at initialisation
_QUERIES = 448  # at once, where attention goes in pieces: 2.4 MB of scores over 2,688 keys in bfloat16


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017, section 3.2.2) with the three projections in one matrix."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """Let `x` query itself, or `other`. Shape: x [B, N, C], other [B, M, C] -> [B, N, C]."""
        if other is None:
            q, k, v = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        else:
            width = x.shape[-1]
            q = F.linear(x, self.in_proj_weight[:width], self.in_proj_bias[:width])
            k, v = F.linear(other, self.in_proj_weight[width:], self.in_proj_bias[width:]).chunk(2, dim=-1)
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        y = attend(q, k, v, self.dropout if self.training else 0.0)
        projected: Tensor = self.out_proj(y.transpose(1, 2).flatten(-2))
        return projected


def attend(q: Tensor, k: Tensor, v: Tensor, dropout: float = 0.0) -> Tensor:
    """
    Softmax of the scaled products of queries and keys, over the values (Vaswani et al. 2017, equation 1).

    The scores of all pairs are never in memory at once. Torch's fused kernel sees to that, but in bfloat16 on a CPU
    without tile products (AMX) it takes twice as long as plain products of few enough queries that their scores stay
    in the cache.

    Shape: q [B, heads, N, D], k and v [B, heads, M, D] -> [B, heads, N, D].
    """
    if not _goes_in_pieces(q.device.type, q.dtype) or torch.is_grad_enabled() or dropout:
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
    result = torch.empty_like(q)
    scaled_keys = k.transpose(-1, -2) * q.shape[-1] ** -0.5
    for item, head in product(range(q.shape[0]), range(q.shape[1])):
        keys, values = scaled_keys[item, head], v[item, head]
        for queries, answer in zip(q[item, head].split(_QUERIES), result[item, head].split(_QUERIES), strict=True):
            torch.mm((queries @ keys).softmax(-1), values, out=answer)
    return result


@lru_cache
def _goes_in_pieces(device: str, dtype: torch.dtype) -> bool:
    return device == "cpu" and dtype == torch.bfloat16 and not torch.cpu.get_capabilities().get("amx_bf16", False)


class _Layer(nn.Module):
    """What self- and cross-attention layers share: the feed-forward half, scales and closing norm."""

    def __init__(self, config: HTDemucsConfig) -> None:
        super().__init__()
        width = config.width
        hidden = int(width * config.hidden_scale)
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm_out = nn.GroupNorm(1, width)
        self.gamma_1 = LayerScale(width, _LAYER_SCALE)
        self.gamma_2 = LayerScale(width, _LAYER_SCALE)
        self.dropout = nn.Dropout(config.dropout)

    def finish(self, x: Tensor, attended: Tensor, norm: nn.LayerNorm) -> Tensor:
        """Add what attention found, feed forward behind `norm`, close. Shape: [B, N, C] -> the same."""
        x = self.gamma_1(x, self.dropout(attended))
        hidden = self.dropout(F.gelu(self.linear1(norm(x))))
        x = self.gamma_2(x, self.dropout(self.linear2(hidden)))
        return normalise(x.unsqueeze(1), self.norm_out).squeeze(1)


class SelfAttentionLayer(_Layer):
    """A transformer layer within one branch."""

    def __init__(self, config: HTDemucsConfig) -> None:
        super().__init__(config)
        self.self_attn = Attention(config.width, config.transformer_heads, config.dropout)

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Shape: x [B, N, C] -> the same; `other` is not looked at."""
        return self.finish(x, self.self_attn(self.norm1(x)), self.norm2)


class CrossAttentionLayer(_Layer):
    """A transformer layer in which one branch queries the other."""

    def __init__(self, config: HTDemucsConfig) -> None:
        super().__init__(config)
        self.norm3 = nn.LayerNorm(config.width)
        self.cross_attn = Attention(config.width, config.transformer_heads, config.dropout)

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Shape: x [B, N, C], other [B, M, C] -> [B, N, C]."""
        return self.finish(x, self.cross_attn(self.norm1(x), self.norm2(other)), self.norm3)


class CrossDomainTransformer(nn.Module):
    """Both branches' tokens through all layers; names ending in `_t` belong to the waveform branch."""

    def __init__(self, config: HTDemucsConfig) -> None:
        super().__init__()
        self.norm_in = nn.LayerNorm(config.width)
        self.norm_in_t = nn.LayerNorm(config.width)
        kinds = [(SelfAttentionLayer, CrossAttentionLayer)[i % 2] for i in range(config.transformer_layers)]
        self.layers = nn.ModuleList(kind(config) for kind in kinds)
        self.layers_t = nn.ModuleList(kind(config) for kind in kinds)

    def forward(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        """Shape: x [B, F, T, C] spectral and xt [B, 1, N, C] waveform -> the same shapes."""
        shape, shape_t = x.shape, xt.shape
        width = shape[-1]
        x = self.norm_in(x.flatten(1, 2)) + spectral_positions(shape[1], shape[2], width, x.device, x.dtype)
        xt = self.norm_in_t(xt.squeeze(1)) + waveform_positions(shape_t[2], width, xt.device, xt.dtype)
        for layer, layer_t in zip(self.layers, self.layers_t, strict=True):
            x, xt = layer(x, xt), layer_t(xt, x)
        return x.view(shape), xt.view(shape_t)


@lru_cache(maxsize=8)
def spectral_positions(rows: int, steps: int, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """
    Sinusoids of time in the first half of the width, of frequency in the second, each as sin, cos, sin, ...

    Shape: [rows x steps, width], row by row.
    """
    with torch.inference_mode(False):
        half = width // 2
        rates = torch.exp(torch.arange(0, half, 2, device=device) * (-math.log(_MAX_PERIOD) / half))

        def interleaved(count: int) -> Tensor:
            phase = torch.arange(count, device=device)[:, None] * rates
            return torch.stack([phase.sin(), phase.cos()], dim=-1).flatten(-2)

        time = interleaved(steps).expand(rows, steps, half)
        frequency = interleaved(rows)[:, None].expand(rows, steps, half)
        return torch.cat([time, frequency], dim=-1).flatten(0, 1).to(dtype)


@lru_cache(maxsize=8)
def waveform_positions(steps: int, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """All cosines, then all sines, of time. Shape: [steps, width]."""
    with torch.inference_mode(False):
        half = width // 2
        periods = _MAX_PERIOD ** (torch.arange(half, device=device) / (half - 1))
        phase = torch.arange(steps, device=device)[:, None] / periods
        return torch.cat([phase.cos(), phase.sin()], dim=-1).to(dtype)
