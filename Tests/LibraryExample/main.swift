import IngotFormat
import ReFusion
import Tokenization

// What a program outside this package can do: this target sees public declarations only.
let file = try IngotFile.open(CommandLine.arguments[1])
for tensor in file.tensors { print(tensor.name, tensor.shape, tensor.typeName) }

let tokenizer = try Tokenizer(blob: file.tokenizerBytes() ?? [])
let template = try ChatTemplate(source: file.chatTemplate(), tokenizer: tokenizer)
let prompt = tokenizer.encode(template.prompt(CommandLine.arguments[2]))

let session = InferenceSession(model: try ReFusionModel(file: file))
let settings = DecodingSettings(slotSize: 16, blocks: 1, maximumTokens: 64)
let answer = try session.decode(prompt: prompt, settings: settings)
print(try tokenizer.decode(answer.tokens.map(Int.init), skipSpecial: true))
print(answer.tokensPerForward, "tokens per forward")
