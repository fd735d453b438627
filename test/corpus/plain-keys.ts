import fc from "fast-check";

/** The bytes of SSH strings (RFC 4251, 5), one after the other. */
export function wire(...parts: (string | Uint8Array)[]): Buffer {
  return Buffer.concat(
    parts.flatMap((part) => {
      const bytes = Buffer.from(part);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}

const hex = (value: bigint, bytes: number) => Buffer.from(value.toString(16).padStart(2 * bytes, "0"), "hex");

/** A positive number as an mpint (RFC 4251, 5). */
function mpint(value: bigint): Buffer {
  const bytes = hex(value, Math.ceil(value.toString(16).length / 2));
  return bytes[0]! < 0x80 ? bytes : Buffer.concat([Buffer.alloc(1), bytes]);
}

/** Numbers below 2 ** bits: any, and those around a bound. */
const number = (bits: number, bounds: readonly bigint[]) =>
  fc.oneof(
    fc.bigInt({ min: 0n, max: 2n ** BigInt(bits) - 1n }),
    fc
      .tuple(fc.constantFrom(0n, 2n ** BigInt(bits) - 1n, ...bounds), fc.bigInt({ min: -3n, max: 3n }))
      .map(([bound, step]) => BigInt.asUintN(bits, bound + step)),
  );

/** Ed25519 (RFC 8032, 5.1): the prime, and y of its points of order 8. Half of all y belong to no point at all. */
const edPrime = 2n ** 255n - 19n;
const yOfOrder8 = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
const ed25519 = fc
  .tuple(number(255, [1n, edPrime, yOfOrder8, edPrime - yOfOrder8]), fc.boolean())
  .map(([y, sign]) => {
    const bytes = hex(y + (sign ? 2n ** 255n : 0n), 32).reverse();
    return [Buffer.from("ssh-ed25519"), bytes];
  });

/** The curves of ECDSA (SEC 2, 2.4): bits of the prime, the prime, and a point of the curve. */
const curves = {
  nistp256: {
    bits: 256,
    prime: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    x: 0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
    y: 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
  },
  nistp384: {
    bits: 384,
    prime: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    x: 0xaa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7n,
    y: 0x3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5fn,
  },
  nistp521: {
    bits: 521,
    prime: 2n ** 521n - 1n,
    x: 0xc6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66n,
    y: 0x11839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650n,
  },
};
const ecdsa = fc.constantFrom(...Object.entries(curves)).chain(([name, { bits, prime, x, y }]) => {
  // The coordinates' bytes have room for some bits more than the prime of nistp521.
  const bytes = Math.ceil(bits / 8);
  const coordinate = (of: bigint) => fc.oneof(number(8 * bytes, [prime, of]), fc.constant(of));
  const form = fc.oneof({ weight: 20, arbitrary: fc.constant(4) }, { weight: 1, arbitrary: fc.nat(255) });
  return fc.tuple(form, coordinate(x), coordinate(y)).map(([form, x, y]) => {
    const point = Buffer.concat([Buffer.from([form]), hex(x, bytes), hex(y, bytes)]);
    return [Buffer.from(`ecdsa-sha2-${name}`), Buffer.from(name), point];
  });
});

/** RSA with any exponent, also one larger than the modulus, and any modulus, prime or not, from just too short to just too long. */
const exponent = fc.oneof(
  fc.constantFrom(1n, 2n, 3n, 17n, 65537n, 65536n),
  fc.bigInt({ min: 0n, max: 2n ** 64n }).map((value) => value | 1n),
  fc.bigInt({ min: 0n, max: 2n ** 4096n }).map((value) => value | 1n),
);
const modulus = fc
  .oneof(
    { weight: 8, arbitrary: fc.constantFrom(2047, 2048, 2049, 2055, 2056, 3072, 4095, 4096) },
    { weight: 2, arbitrary: fc.integer({ min: 2048, max: 4200 }) },
    { weight: 1, arbitrary: fc.constantFrom(8192, 16383, 16384, 16385) },
  )
  .chain((bits) => {
    const top = 2n ** BigInt(bits - 1);
    return fc.oneof(
      fc.bigInt({ min: 0n, max: top - 1n }).map((rest) => top | rest | 1n),
      fc.constantFrom(top, top + 1n, 2n * top - 1n, top + 2n ** 64n + 1n),
    );
  });
const rsa = fc.tuple(exponent, modulus).map(([e, n]) => [Buffer.from("ssh-rsa"), mpint(e), mpint(n)]);

/** What a key can be spoiled with, each alteration in a place of its own: a byte, or a whole string, more or fewer. */
const alterations: Record<string, (part: Buffer) => Buffer[]> = {
  "a zero in front": (part) => [Buffer.concat([Buffer.alloc(1), part])],
  "a byte behind": (part) => [Buffer.concat([part, part.subarray(-1)])],
  "a byte fewer": (part) => [part.subarray(1)],
  twice: (part) => [part, part],
  missing: () => [],
};

/**
 * Lines with a key of each type that sshpk knows too, most of them no key that anybody has: points off their curve,
 * coordinates beyond the prime, exponents and moduli of all kinds. About one of ten is damaged.
 */
export const plainKey: fc.Arbitrary<string> = fc.oneof(ed25519, ecdsa, rsa).chain((parts) =>
  fc
    .oneof(
      { weight: 20, arbitrary: fc.constant(wire(...parts)) },
      {
        weight: 1,
        arbitrary: fc
          .tuple(fc.nat(parts.length - 1), fc.constantFrom(...Object.values(alterations)))
          .map(([at, alter]) =>
            wire(...parts.flatMap((part, place) => (place === at ? alter(part) : [part]))),
          ),
      },
      {
        weight: 1,
        arbitrary: fc.tuple(fc.nat(), fc.nat(2), fc.uint8Array({ maxLength: 2 })).map(([at, fewer, more]) => {
          const bytes = wire(...parts);
          const start = at % (bytes.length + 1);
          return Buffer.concat([bytes.subarray(0, start), more, bytes.subarray(start + fewer)]);
        }),
      },
    )
    .map((bytes) => `${parts[0]} ${bytes.toString("base64")}`),
);
