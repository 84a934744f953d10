"""The architectures of causal language models that load here, and why some others do not.

`book/architectures.md` has a table of them. It is made by the test that tries them all,
`tests/models/test_architectures.py`.
"""

from collections.abc import Iterable

ARCHITECTURES = (
    "AfmoeForCausalLM",
    "ApertusForCausalLM",
    "ArceeForCausalLM",
    "BitNetForCausalLM",
    "BloomForCausalLM",
    "CodeGenForCausalLM",
    "Cohere2ForCausalLM",
    "CohereForCausalLM",
    "Ernie4_5_MoeForCausalLM",
    "Ernie4_5ForCausalLM",
    "Exaone4ForCausalLM",
    "FalconForCausalLM",
    "FlexOlmoForCausalLM",
    "Gemma2ForCausalLM",
    "Gemma3ForCausalLM",
    "GemmaForCausalLM",
    "Glm4ForCausalLM",
    "Glm4MoeForCausalLM",
    "GlmForCausalLM",
    "GPT2LMHeadModel",
    "GPTBigCodeForCausalLM",
    "GPTJForCausalLM",
    "GPTNeoForCausalLM",
    "GPTNeoXForCausalLM",
    "GraniteForCausalLM",
    "GraniteMoeForCausalLM",
    "HunYuanDenseV1ForCausalLM",
    "Jais2ForCausalLM",
    "LagunaForCausalLM",
    "LlamaForCausalLM",
    "MiniMaxM2ForCausalLM",
    "Ministral3ForCausalLM",
    "MistralForCausalLM",
    "MixtralForCausalLM",
    "ModernBertDecoderForCausalLM",
    "MptForCausalLM",
    "NemotronForCausalLM",
    "Olmo2ForCausalLM",
    "Olmo3ForCausalLM",
    "OlmoeForCausalLM",
    "OlmoForCausalLM",
    "OPTForCausalLM",
    "Phi3ForCausalLM",
    "PhiForCausalLM",
    "Qwen2ForCausalLM",
    "Qwen2MoeForCausalLM",
    "Qwen3ForCausalLM",
    "Qwen3MoeForCausalLM",
    "SeedOssForCausalLM",
    "SmolLM3ForCausalLM",
    "StableLmForCausalLM",
    "Starcoder2ForCausalLM",
    "VaultGemmaForCausalLM",
    "XGLMForCausalLM",
)
"""The classes that load here, each tried on a small random checkpoint."""

_NO_PATTERNS = "its layers have no attention patterns"
_HYBRID = "some of its layers have no attention patterns"
_COMPRESSED = "its keys and values are compressed, so no head has W_K and W_V of its own"
_UNKNOWN = "TransformerLens does not know what its heads compute"
_IMAGES = "it takes more than text. Save and load its text model"
_UNTRIED = "it has not been compared with transformers on a small checkpoint yet"

REFUSED = {
    "BambaForCausalLM": _HYBRID,
    "BertLMHeadModel": "it attends to later tokens",
    "DeepseekV2ForCausalLM": _COMPRESSED,
    "DeepseekV3ForCausalLM": _COMPRESSED,
    "DeepseekV4ForCausalLM": _COMPRESSED,
    "FalconH1ForCausalLM": "each of its layers also has a part without attention patterns",
    "FalconMambaForCausalLM": _NO_PATTERNS,
    "Glm4MoeLiteForCausalLM": _COMPRESSED,
    "GlmMoeDsaForCausalLM": _COMPRESSED,
    "Gemma3ForConditionalGeneration": _IMAGES,
    "Gemma3nForConditionalGeneration": _IMAGES,
    "Gemma4ForCausalLM": _UNTRIED,
    "Gemma4ForConditionalGeneration": _IMAGES,
    "Gemma4UnifiedForConditionalGeneration": _IMAGES,
    "GptOssForCausalLM": "its attention weights do not sum to 1, because each head has a sink",
    "GraniteMoeHybridForCausalLM": _HYBRID,
    "HrmTextForCausalLM": _UNKNOWN,
    "JambaForCausalLM": _HYBRID,
    "JetMoeForCausalLM": _UNKNOWN,
    "Lfm2ForCausalLM": _HYBRID,
    "Lfm2MoeForCausalLM": _HYBRID,
    "Llama4ForCausalLM": _UNTRIED,
    "MambaForCausalLM": _NO_PATTERNS,
    "Mamba2ForCausalLM": _NO_PATTERNS,
    "NanoChatForCausalLM": "its final norm is also applied in front of the first layer",
    "NemotronHForCausalLM": _HYBRID,
    "OlmoHybridForCausalLM": _HYBRID,
    "OpenAIGPTLMHeadModel": "it has no norm in front of the unembedding, but one behind each layer",
    "Qwen3NextForCausalLM": _HYBRID,
    "Qwen3_5ForCausalLM": _HYBRID,
    "Qwen3_5MoeForCausalLM": _HYBRID,
    "RecurrentGemmaForCausalLM": _HYBRID,
    "RwkvForCausalLM": _NO_PATTERNS,
    "YoutuForCausalLM": _COMPRESSED,
    "Zamba2ForCausalLM": _HYBRID,
}
"""Class → why it is refused, as the end of a sentence."""


def why_not(named: Iterable[str] | None) -> str:
    """Why none of these architectures loads, as the end of a sentence."""
    for architecture in named or ():
        if architecture in REFUSED:
            return f": {REFUSED[architecture]}."
    return (
        f". Supported are {len(ARCHITECTURES)}, among them GPT2LMHeadModel, LlamaForCausalLM and "
        "Qwen3ForCausalLM; the page on architectures of this course lists them."
    )
