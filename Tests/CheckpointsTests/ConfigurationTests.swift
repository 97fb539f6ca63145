import Architecture
import Bytes
import Checkpoints
import TestSupport
import Testing

@Suite struct ConfigurationTests {
  private func read(_ text: String) throws -> ModelConfiguration {
    try ModelConfiguration(huggingFace: Array(text.utf8))
  }

  private func code(_ fields: String) -> String? {
    CheckpointsTests.code { _ = try read("{\"model_type\":\"qwen3\"\(fields)}") }
  }

  @Test func takesTheDefaultsOfQwen3Config() throws {
    let configuration = try read("{\"model_type\":\"qwen3\"}")
    #expect(
      configuration
        == ModelConfiguration(
          vocabularySize: 151_936, hiddenSize: 4096, intermediateSize: 22_016, layerCount: 32,
          attentionHeads: 32, keyValueHeads: 32, headDimension: 128, rmsNormEpsilon: 1e-6,
          ropeTheta: 10_000, maximumPositions: 32_768, tiesEmbeddings: false,
          attentionBias: false))
  }

  /// The fields of the published ReFusion checkpoint, as its training script leaves them:
  /// Qwen3-8B with two more tokens.
  @Test func readsAConfigurationLikeThePublishedOne() throws {
    let configuration = try read(
      """
      {"architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
       "auto_map": {"AutoModelForCausalLM": "modeling_refusion.Qwen3ForCausalLM"},
       "bos_token_id": 151669, "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu",
       "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 12288,
       "mask_token_id": 151670, "max_position_embeddings": 40960, "max_window_layers": 36,
       "model_type": "qwen3", "num_attention_heads": 32, "num_hidden_layers": 36,
       "num_key_value_heads": 8, "rms_norm_eps": 1e-06, "rope_scaling": null,
       "rope_theta": 1000000, "sliding_window": null, "tie_word_embeddings": false,
       "torch_dtype": "bfloat16", "transformers_version": "4.51.0", "use_cache": false,
       "use_sliding_window": false, "vocab_size": 151671}
      """)
    #expect(
      configuration
        == ModelConfiguration(
          vocabularySize: 151_671, hiddenSize: 4096, intermediateSize: 12_288, layerCount: 36,
          attentionHeads: 32, keyValueHeads: 8, headDimension: 128, rmsNormEpsilon: 1e-6,
          ropeTheta: 1_000_000, maximumPositions: 40_960, beginOfTextToken: 151_669,
          endOfTextToken: 151_645, maskToken: 151_670))
  }

  @Test(arguments: [
    (",\"rope_theta\":5000", 5000.0),
    (",\"rope_parameters\":{\"rope_theta\":1e6,\"rope_type\":\"default\"}", 1e6),
    (",\"rope_parameters\":{\"rope_type\":\"default\"}", 10_000),
    (",\"rope_theta\":7,\"rope_parameters\":{\"rope_theta\":7.0}", 7),
    (",\"rope_scaling\":{\"type\":\"default\"},\"rope_theta\":8", 8),
    (",\"rope_scaling\":{}", 10_000),
    (",\"rope_parameters\":null,\"partial_rotary_factor\":1.0", 10_000),
  ])
  func findsTheBaseOfRope(fields: String, theta: Double) throws {
    #expect(try read("{\"model_type\":\"qwen3\"\(fields)}").ropeTheta == theta)
  }

  @Test(arguments: [
    ",\"num_key_value_heads\":null", ",\"layer_types\":null", ",\"eos_token_id\":[3,4]",
    ",\"use_sliding_window\":null", ",\"sliding_window\":4096", ",\"hidden_act\":\"swish\"",
    ",\"quantization_config\":null", ",\"architectures\":null", ",\"pad_token_id\":-1",
    ",\"unknown\":{\"deep\":[[[]]]}", ",\"attention_bias\":true", ",\"architectures\":[]",
    ",\"num_hidden_layers\":2,\"layer_types\":[\"full_attention\",\"full_attention\"]",
  ])
  func accepts(fields: String) {
    #expect(code(fields) == nil, "\(fields)")
  }

  @Test(arguments: [
    (",\"architectures\":[\"LlamaForCausalLM\"]", "config.architecture"),
    (",\"architectures\":[\"Qwen3MoeForCausalLM\"]", "config.architecture"),
    (",\"architectures\":\"Qwen3ForCausalLM\"", "config.type"),
    (",\"quantization_config\":{\"quant_method\":\"gptq\"}", "config.quantized"),
    (",\"compression_config\":{}", "config.quantized"),
    (",\"hidden_act\":\"gelu\"", "config.activation"),
    (",\"use_sliding_window\":true", "config.slidingWindow"),
    (",\"use_sliding_window\":1", "config.type"),
    (",\"num_hidden_layers\":1,\"layer_types\":[\"sliding_attention\"]", "config.layerTypes"),
    (",\"num_hidden_layers\":2,\"layer_types\":[\"full_attention\"]", "config.layerTypes"),
    (",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4.0}", "config.rope"),
    (",\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":2}", "config.rope"),
    (",\"rope_parameters\":{\"rope_type\":\"llama3\"}", "config.rope"),
    (",\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"default\"}}", "config.rope"),
    (",\"rope_parameters\":{\"factor\":2.0}", "config.rope"),
    (",\"rope_theta\":7,\"rope_parameters\":{\"rope_theta\":8}", "config.rope"),
    (",\"partial_rotary_factor\":0.5", "config.rope"),
    (",\"rope_scaling\":\"linear\"", "config.type"),
    (",\"rope_theta\":\"1e6\"", "config.type"), (",\"hidden_size\":null", "config.type"),
    (",\"hidden_size\":4096.0", "config.type"), (",\"hidden_size\":\"4096\"", "config.type"),
    (",\"hidden_size\":99999999999999999999", "config.range"),
    (",\"eos_token_id\":\"</s>\"", "config.type"), (",\"eos_token_id\":[1,null]", "config.type"),
    (",\"tie_word_embeddings\":\"no\"", "config.type"),
    (",\"hidden_size\":0", "config.inconsistent"), (",\"head_dim\":-2", "config.inconsistent"),
    (",\"head_dim\":127", "config.inconsistent"), (",\"rope_theta\":0", "config.inconsistent"),
    (",\"rms_norm_eps\":0", "config.inconsistent"),
    (",\"rms_norm_eps\":1e-60", "config.inconsistent"),
    (",\"rms_norm_eps\":1e300", "config.inconsistent"),
    (",\"num_attention_heads\":12,\"num_key_value_heads\":8", "config.inconsistent"),
    (",\"num_attention_heads\":4", "config.inconsistent"),
    (",\"eos_token_id\":151936", "config.inconsistent"),
    (",\"mask_token_id\":-1", "config.inconsistent"),
    (",\"vocab_size\":9223372036854775807", "config.inconsistent"),
    (",\"model_type\":\"qwen3\"", "json.duplicateKey"),
  ])
  func refuses(fields: String, expected: String) {
    #expect(code(fields) == expected, "\(fields)")
  }

  @Test func refusesOtherModels() {
    func code(_ text: String) -> String? { CheckpointsTests.code { _ = try read(text) } }
    #expect(code("{}") == "config.architecture")
    #expect(code("{\"model_type\":\"llama\"}") == "config.architecture")
    #expect(code("{\"model_type\":3}") == "config.type")
    #expect(code("[]") == "config.type")
    #expect(code("{\"architectures\":[\"Qwen3ForCausalLM\"]}") == nil)
  }

  @Test func readsGenerationDefaults() throws {
    let text = """
      {"bos_token_id": 151643, "do_sample": true, "eos_token_id": [151645, 151643],
       "pad_token_id": 151643, "temperature": 0.6, "top_k": 20, "top_p": 0.95,
       "transformers_version": "4.51.0"}
      """
    let defaults = try GenerationDefaults(huggingFace: Array(text.utf8))
    #expect(
      defaults
        == GenerationDefaults(
          endOfTextTokens: [151_645, 151_643], beginOfTextToken: 151_643, padToken: 151_643,
          samples: true, temperature: 0.6, topK: 20, topP: 0.95))
    #expect(defaults.tokenOutside(151_646) == nil)
    #expect(defaults.tokenOutside(151_645) == 151_645)
    #expect(try GenerationDefaults(huggingFace: Array("{}".utf8)) == GenerationDefaults())
    #expect(
      CheckpointsTests.code {
        _ = try GenerationDefaults(huggingFace: Array("{\"top_k\":\"many\"}".utf8))
      } == "config.type")
  }
}
