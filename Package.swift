// swift-tools-version: 6.1
import PackageDescription

let warningsForEveryModule: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

/// A Swift module of the toolchain. Dependencies point one way; see README, "Where things are".
func module(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: warningsForEveryModule)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(
    name: name, dependencies: dependencies + ["TestSupport"],
    swiftSettings: warningsForEveryModule)
}

let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let arguments = Target.Dependency.product(
  name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
  name: "ingot",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "ingot", targets: ["ingot"]),
    // Bytes has the error that all of them throw, Architecture the shape of a model.
    .library(name: "IngotFormat", targets: ["IngotFormat", "Architecture", "Bytes"]),
    .library(name: "ReFusion", targets: ["ReFusion", "Architecture", "Bytes"]),
    .library(name: "Tokenization", targets: ["Tokenization", "Bytes"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    // System libraries and C.
    .systemLibrary(
      name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]),
    // Only the tests link it: an oracle for products of floats.
    .systemLibrary(
      name: "COpenBLAS", pkgConfig: "openblas",
      providers: [.apt(["libopenblas-dev"]), .brew(["openblas"])]),
    .target(name: "CIngotKernels"),
    .target(name: "CHashes"),

    // The toolchain, bottom up.
    module("Bytes", ["CHashes"]),
    module("Tensors", ["Bytes"]),
    module("Architecture", []),
    module("Checkpoints", ["Bytes", "Tensors", "Architecture"]),
    module("IngotFormat", ["Bytes", "Tensors", "Architecture", "CZstd"]),
    module("Kernels", ["Bytes", "Tensors", "CIngotKernels"]),
    module("Quantization", ["Bytes", "Tensors", "Architecture", "Kernels", yams]),
    module("Tokenization", ["Bytes"]),
    module(
      "Casting",
      [
        "Bytes", "Tensors", "Architecture", "Checkpoints", "Kernels", "Quantization", "IngotFormat",
        "Tokenization",
      ]),
    module("ReFusion", ["Bytes", "Tensors", "Architecture", "Kernels", "IngotFormat"]),
    module("Parity", ["Bytes", "Tensors", "Architecture", "Kernels", "ReFusion", "Tokenization"]),
    module(
      "Bench",
      ["Bytes", "Tensors", "Architecture", "Quantization", "Kernels", "IngotFormat", "ReFusion"]),
    .executableTarget(
      name: "ingot",
      dependencies: [
        "Bytes", "Tensors", "Architecture", "Checkpoints", "IngotFormat", "Kernels", "Quantization",
        "Tokenization", "Casting", "ReFusion", "Parity", "Bench", arguments,
      ],
      swiftSettings: warningsForEveryModule,
      plugins: ["RecordCommit"]),
    // Here and not in Plugins/, because it is source like the rest.
    .plugin(name: "RecordCommit", capability: .buildTool(), path: "Sources/RecordCommit"),

    // Tests.
    .target(
      name: "TestSupport", dependencies: ["Bytes", "Tensors", "Architecture", "Checkpoints"],
      path: "Tests/TestSupport",
      swiftSettings: warningsForEveryModule),
    .target(
      name: "ModelSupport",
      dependencies: [
        "TestSupport", "Bytes", "Tensors", "Checkpoints", "IngotFormat", "Casting", "Quantization",
        "Kernels", "Tokenization", "ReFusion", "Parity",
      ], path: "Tests/ModelSupport", swiftSettings: warningsForEveryModule),
    tests("BytesTests", ["Bytes"]),
    tests("TensorsTests", ["Tensors"]),
    tests("CheckpointsTests", ["Checkpoints"]),
    tests("IngotFormatTests", ["IngotFormat"]),
    tests("KernelsTests", ["Kernels", "COpenBLAS"]),
    tests("QuantizationTests", ["Quantization", "Kernels", "Checkpoints"]),
    tests("TokenizationTests", ["Tokenization", "Checkpoints"]),
    tests("CastingTests", ["Casting", "Checkpoints", "IngotFormat", "Quantization", "Kernels"]),
    tests(
      "ReFusionTests",
      ["ReFusion", "Casting", "Checkpoints", "IngotFormat", "Kernels", "ModelSupport"]),
    tests("ParityTests", ["Parity", "ReFusion", "Casting", "Kernels", "Tensors", "ModelSupport"]),
    tests(
      "BenchTests",
      [
        "Bench", "Bytes", "Tensors", "Architecture", "Quantization", "Kernels", "CIngotKernels",
        "ReFusion",
      ]),
    // A program of somebody else's: it sees what is public, and nothing else.
    .executableTarget(
      name: "LibraryExample", dependencies: ["IngotFormat", "ReFusion", "Tokenization"],
      path: "Tests/LibraryExample", packageAccess: false, swiftSettings: warningsForEveryModule),
    tests("EndToEndTests", ["ingot", "LibraryExample", "Bytes", "Tensors", "IngotFormat"]),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c17
)
