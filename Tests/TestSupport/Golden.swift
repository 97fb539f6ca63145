package import Bytes
import Foundation

/// Reads the golden files; every missing key is an error, so that nothing is compared with nothing.
public enum Golden {
  package static func file(_ relative: String) throws -> JSONValue {
    let data = try Data(contentsOf: URL(fileURLWithPath: Shared.path(relative)))
    return try JSONValue(parsing: [UInt8](data))
  }

  package static func array(_ relative: String, _ key: String) throws -> [JSONValue] {
    try file(relative).array(key)
  }
}

/// A key that a golden file should have and has not.
struct MissingKey: Error { let key: String }

extension JSONValue {
  package func member(_ key: String) throws -> JSONValue {
    guard let value = object?[key] else { throw MissingKey(key: key) }
    return value
  }

  package func int(_ key: String) throws -> Int {
    guard let value = try member(key).integer else { throw MissingKey(key: key) }
    return value
  }

  package func number(_ key: String) throws -> Double {
    guard let value = try member(key).number else { throw MissingKey(key: key) }
    return value
  }

  package func array(_ key: String) throws -> [JSONValue] {
    guard let value = try member(key).array else { throw MissingKey(key: key) }
    return value
  }

  package func ids(_ key: String) throws -> [Int32] {
    try array(key).map { Int32($0.integer ?? .min) }
  }

  package func numbers(_ key: String) throws -> [Double] {
    try array(key).map { $0.number ?? .nan }
  }

  package func idRows(_ key: String) throws -> [[Int32]] {
    try array(key).map { ($0.array ?? []).map { Int32($0.integer ?? .min) } }
  }

  package func numberRows(_ key: String) throws -> [[Double]] {
    try array(key).map { ($0.array ?? []).map { $0.number ?? .nan } }
  }
}
