import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { EdgeloopError } from '../../src/errors.ts';
import { decodeSafetensors, encodeSafetensors } from '../../src/store/safetensors.ts';
import type { Tensor, TensorFile } from '../../src/store/safetensors.ts';

const FILE = 'motor.safetensors';

/** A small file with every element type, an order that differs from the layout, and metadata. */
function smallFile(): TensorFile {
  return {
    tensors: new Map<string, Tensor>([
      ['layer1.weight', { shape: [1, 3], data: new Float32Array([1.5, -2, 0.1]) }],
      ['scaler.count', { shape: [2], data: new Float64Array([16777217, 1e300]) }],
      ['labels', { shape: [1], data: new Int32Array([-1]) }],
    ]),
    metadata: { 'edgeloop.format': '1', 'edgeloop.classes': '["off","läuft"]' },
  };
}

/** Any container, well formed or not: the length, the header's text, the data. */
function container(header: string, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(data, 8 + text.length);
  return bytes;
}

function headerOf(bytes: Uint8Array): string {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  return new TextDecoder().decode(bytes.subarray(8, 8 + length));
}

/** A tensor's entry in a header, with any JSON for its shape and its offsets. */
const tensor = (shape: string, offsets: string, dtype = 'F32') =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`;

/** The refusal of these bytes. Anything but an EdgeloopError of the right code fails the test. */
function refusalOf(bytes: Uint8Array): string {
  try {
    decodeSafetensors(bytes, FILE);
  } catch (error) {
    if (!(error instanceof EdgeloopError)) throw error;
    expect(error.code).toBe('ELOOP_FORMAT');
    return error.message;
  }
  throw new Error(`accepted: ${JSON.stringify(new TextDecoder().decode(bytes.subarray(0, 300)))}`);
}

/** mulberry32: the same edits on every machine. */
function randomFrom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

describe('what is written', () => {
  test('comes back equal, with shapes, order and metadata', () => {
    const decoded = decodeSafetensors(encodeSafetensors(smallFile()), FILE);
    expect(decoded).toEqual(smallFile());
    expect([...decoded.tensors.keys()]).toEqual(['layer1.weight', 'scaler.count', 'labels']);
  });

  test('keeps every special value to the bit', () => {
    const float32 = new Float32Array([0, -0, Infinity, -Infinity, NaN, 1e-45, 3.4028234663852886e38]);
    const float64 = new Float64Array([0, -0, Infinity, -Infinity, NaN, 5e-324, Number.MAX_VALUE]);
    const int32 = new Int32Array([0, -1, 2147483647, -2147483648]);
    const tensors = new Map<string, Tensor>([
      ['a', { shape: [7], data: float32 }],
      ['b', { shape: [7, 1], data: float64 }],
      ['c', { shape: [2, 2], data: int32 }],
    ]);
    const decoded = decodeSafetensors(encodeSafetensors({ tensors, metadata: {} }), FILE).tensors;
    for (const [name, { data }] of tensors) {
      const copy = decoded.get(name)!.data;
      expect(copy.constructor).toBe(data.constructor);
      expect([...copy].every((value, index) => Object.is(value, data[index]))).toBe(true);
    }
  });

  test('may be empty, a scalar or a tensor without elements', () => {
    const none: TensorFile = { tensors: new Map(), metadata: {} };
    expect(decodeSafetensors(encodeSafetensors(none), FILE)).toEqual(none);
    const odd: TensorFile = {
      tensors: new Map<string, Tensor>([
        ['nothing', { shape: [0, 4], data: new Float32Array(0) }],
        ['scalar', { shape: [], data: new Float64Array([2]) }],
        ['nothing more', { shape: [3, 0], data: new Float64Array(0) }],
      ]),
      metadata: {},
    };
    expect(decodeSafetensors(encodeSafetensors(odd), FILE)).toEqual(odd);
    // Both begin at byte 0, and the one that has no bytes is named last.
    const together = new Map<string, Tensor>([
      ['one', { shape: [1], data: new Float32Array([1]) }],
      ['nothing', { shape: [0], data: new Float64Array(0) }],
    ]);
    const bytes = encodeSafetensors({ tensors: together, metadata: {} });
    expect(decodeSafetensors(bytes, FILE).tensors).toEqual(together);
  });

  test('keeps names that objects would reorder or that need escapes', () => {
    const names = ['b', '10', '2', 'constructor', 'with "quotes" and \\', 'grün\n', '😀', ''];
    const tensors = new Map(
      names.map((name, index) => [name, { shape: [1], data: new Float32Array([index]) }]),
    );
    const bytes = encodeSafetensors({ tensors, metadata: {} });
    expect([...decodeSafetensors(bytes, FILE).tensors.keys()]).toEqual(names);
  });

  test('lies as FORMAT.md says: seal first, data aligned, 8-byte elements before the others', () => {
    const bytes = encodeSafetensors(smallFile());
    const header = headerOf(bytes);
    expect(header.replace(/[0-9a-f]{64}/, '<digest>').trimEnd()).toBe(
      '{"__metadata__":{"edgeloop.sha256":"<digest>","edgeloop.classes":"[\\"off\\",\\"läuft\\"]","edgeloop.format":"1"}' +
        ',"layer1.weight":{"dtype":"F32","shape":[1,3],"data_offsets":[16,28]}' +
        ',"scaler.count":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}' +
        ',"labels":{"dtype":"I32","shape":[1],"data_offsets":[28,32]}}',
    );
    expect((bytes.length - 32) % 8).toBe(0);
    expect(Buffer.from(bytes.subarray(-32)).toString('hex')).toBe(
      ['0000001000007041', '9c7500883ce4377e', '0000c03f', '000000c0', 'cdcccc3d', 'ffffffff'].join(''),
    );
  });

  test('has a seal that anyone can compute: SHA-256 of the file with 64 zeros in its place', () => {
    const bytes = encodeSafetensors(smallFile());
    const [digest] = /[0-9a-f]{64}/.exec(headerOf(bytes))!;
    const blank = Buffer.from(
      Buffer.from(bytes).toString('latin1').replace(digest, '0'.repeat(64)),
      'latin1',
    );
    expect(createHash('sha256').update(blank).digest('hex')).toBe(digest);
  });

  test('is the same for the same content', () => {
    const bytes = encodeSafetensors(smallFile());
    expect(encodeSafetensors(smallFile())).toEqual(bytes);
    expect(encodeSafetensors(decodeSafetensors(bytes, FILE))).toEqual(bytes);
    const reordered = { 'edgeloop.classes': '["off","läuft"]', 'edgeloop.format': '1' };
    expect(encodeSafetensors({ ...smallFile(), metadata: reordered })).toEqual(bytes);
  });

  test('has one bit pattern for NaN, whichever was given', () => {
    const float32 = new Float32Array(new Uint32Array([0xffc12345, 0x7f800001]).buffer);
    const float64 = new Float64Array(new BigUint64Array([0xfff0000000000001n]).buffer);
    const tensors = new Map<string, Tensor>([
      ['a', { shape: [2], data: float32 }],
      ['b', { shape: [1], data: float64 }],
    ]);
    const bytes = encodeSafetensors({ tensors, metadata: {} });
    expect(Buffer.from(bytes.subarray(-16)).toString('hex')).toBe('000000000000f87f0000c07f0000c07f');
  });

  test('comes from shared memory and from a part of a larger buffer alike', () => {
    const arena = new Float32Array(new SharedArrayBuffer(64), 8, 3);
    arena.set([1.5, -2, 0.1]);
    const file = smallFile();
    const tensors = new Map(file.tensors).set('layer1.weight', { shape: [1, 3], data: arena });
    expect(encodeSafetensors({ ...file, tensors })).toEqual(encodeSafetensors(file));
  });

  test.each([
    ['a shape that does not fit the data', { w: { shape: [2, 2], data: new Float32Array(3) } }, {}],
    ['a negative size', { w: { shape: [-1, -3], data: new Float32Array(3) } }, {}],
    ['the name of the metadata', { __metadata__: { shape: [1], data: new Float32Array(1) } }, {}],
    ['metadata named as the seal', {}, { 'edgeloop.sha256': 'x' }],
    ['metadata named nearly as the seal', {}, { 'edgeloop.sha257': 'x' }],
    ['a header over the limit', {}, { note: 'x'.repeat(1024 * 1024) }],
  ])('is asserted: %s is our mistake', (_what, tensors: Record<string, Tensor>, metadata) => {
    const file = { tensors: new Map(Object.entries(tensors)), metadata: metadata as Record<string, string> };
    expect(() => encodeSafetensors(file)).toThrow(expect.objectContaining({ name: 'AssertionError' }));
  });
});

describe('damage to a file that we wrote', () => {
  const files: [string, TensorFile][] = [
    ['with metadata', smallFile()],
    ['with no metadata but the seal', { ...smallFile(), metadata: {} }],
    ['with nothing in it', { tensors: new Map(), metadata: {} }],
  ];

  test.each(files)('is found at every prefix, %s', (_what, file) => {
    const bytes = encodeSafetensors(file);
    for (let length = 0; length < bytes.length; length++) refusalOf(bytes.subarray(0, length));
    refusalOf(Buffer.concat([bytes, Buffer.of(0)]));
    refusalOf(Buffer.concat([bytes, bytes]));
  });

  test.each(files)('is found at every flip of one bit, %s', (_what, file) => {
    const bytes = encodeSafetensors(file);
    expect(headerOf(bytes)).toMatch(/ $/); // there is padding to flip, too
    for (let index = 0; index < bytes.length; index++) {
      for (let bit = 0; bit < 8; bit++) {
        bytes[index]! ^= 1 << bit;
        refusalOf(bytes);
        bytes[index]! ^= 1 << bit;
      }
    }
    expect(decodeSafetensors(bytes, FILE)).toEqual(file);
  });

  test('is told with both checksums and both ways out', () => {
    const bytes = encodeSafetensors(smallFile());
    bytes[bytes.length - 1]! ^= 1;
    expect(refusalOf(bytes)).toMatch(
      /^motor\.safetensors: expected content that matches its checksum "[0-9a-f]{64}", got [0-9a-f]{64}: the file is damaged, or was changed by another program\. Restore a copy .* save it without the metadata key edgeloop\.sha256\.$/,
    );
  });

  test('is told when a file was cut short or has a tail', () => {
    const bytes = encodeSafetensors(smallFile());
    expect(refusalOf(bytes.subarray(0, -1))).toContain(
      'expected 32 bytes of tensor data, got 31: the file was cut short',
    );
    expect(refusalOf(Buffer.concat([bytes, bytes]))).toContain('something follows the tensors');
  });
});

describe('a file from elsewhere', () => {
  /** Written by the safetensors package for Python, 0.8.0, from NumPy arrays. */
  const FOREIGN_HEADER =
    '{"__metadata__":{"source":"numpy"},"scaler.count":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}' +
    ',"layer1.weight":{"dtype":"F32","shape":[1,3],"data_offsets":[8,20]},"scale":{"dtype":"F32","shape":[],' +
    '"data_offsets":[20,24]},"labels":{"dtype":"I32","shape":[2],"data_offsets":[24,32]}}   ';
  const FOREIGN_DATA = '00000010000070410000c03f000000c0cdcccc3d0000803effffffffffffff7f';
  const foreign = () => container(FOREIGN_HEADER, Buffer.from(FOREIGN_DATA, 'hex'));

  test('needs no seal', () => {
    expect(decodeSafetensors(foreign(), FILE)).toEqual({
      tensors: new Map<string, Tensor>([
        ['scaler.count', { shape: [1], data: new Float64Array([16777217]) }],
        ['layer1.weight', { shape: [1, 3], data: new Float32Array([1.5, -2, 0.1]) }],
        ['scale', { shape: [], data: new Float32Array([0.25]) }],
        ['labels', { shape: [2], data: new Int32Array([-1, 2147483647]) }],
      ]),
      metadata: { source: 'numpy' },
    });
  });

  test('may be ours with the seal taken off and the content changed', () => {
    const sealed = encodeSafetensors(smallFile());
    const header = headerOf(sealed).replace(/"edgeloop.sha256":"[0-9a-f]{64}",/, '');
    const data = new Uint8Array(sealed.subarray(-32));
    data.set([0, 0, 128, 63], 16);
    const decoded = decodeSafetensors(container(header, data), FILE);
    expect(decoded.metadata).toEqual(smallFile().metadata);
    expect(decoded.tensors.get('layer1.weight')!.data[0]).toBe(1);
  });

  test('may have its tensors at any alignment', () => {
    const bytes = foreign();
    for (let shift = 0; shift < 8; shift++) {
      const shifted = new Uint8Array(bytes.length + shift).subarray(shift);
      shifted.set(bytes);
      expect(decodeSafetensors(shifted, FILE)).toEqual(decodeSafetensors(bytes, FILE));
    }
    const unpadded = container(`${FOREIGN_HEADER.trimEnd()} `, Buffer.from(FOREIGN_DATA, 'hex'));
    expect(decodeSafetensors(unpadded, FILE)).toEqual(decodeSafetensors(bytes, FILE));
  });

  test('gives copies: changing a tensor does not change the bytes', () => {
    const bytes = foreign();
    decodeSafetensors(bytes, FILE).tensors.get('layer1.weight')!.data.fill(9);
    expect(bytes).toEqual(foreign());
  });

  test.each(['F16', 'BF16', 'I64', 'U8', 'BOOL', 'F8_E4M3', 'f32', ''])(
    'is refused for dtype "%s"',
    (dtype) => {
      const header = `{"encoder.weight":{"dtype":"${dtype}","shape":[2],"data_offsets":[0,4]}}`;
      expect(refusalOf(container(header, new Uint8Array(4)))).toBe(
        `motor.safetensors, tensor "encoder.weight": expected dtype F32, F64 or I32, got "${dtype}". Convert the tensor to float32 and save it again.`,
      );
    },
  );

  test('survives random damage with a refusal or a content that fits its shapes', () => {
    const seed = 20240229;
    const random = randomFrom(seed);
    let accepted = 0;
    for (let run = 0; run < 3000; run++) {
      const bytes = foreign();
      for (let edit = 0; edit <= run % 4; edit++) bytes[random(bytes.length)] = random(256);
      try {
        for (const { shape, data } of decodeSafetensors(bytes, FILE).tensors.values()) {
          expect(shape.reduce((product, size) => product * size, 1)).toBe(data.length);
        }
        accepted++;
      } catch (error) {
        expect(error, `seed ${seed}, run ${run}`).toMatchObject({ code: 'ELOOP_FORMAT' });
      }
    }
    // Edits of the data are accepted, most edits of the header are not.
    expect(accepted).toBeGreaterThan(100);
    expect(accepted).toBeLessThan(2000);
  });
});

describe('a hostile file is refused', () => {
  const headers: [what: string, header: string, dataBytes: number, message: RegExp][] = [
    ['an empty header', '', 0, /expected a header that begins with \{, got ""/],
    ['a header that is a list', '[]', 0, /expected a header that begins with \{, got "\[\]"/],
    ['a header with blanks before it', ' {}', 0, /expected a header that begins with \{/],
    ['a header with a byte order mark', '\ufeff{}', 0, /expected a header that begins with \{/],
    ['a header that is not JSON', '{"a":', 0, /expected a header of JSON, got /],
    ['a header with something after it', '{}{}', 0, /expected a header of JSON, got /],
    [
      'metadata that is not an object',
      '{"__metadata__":[]}',
      0,
      /expected __metadata__ to be an object, got "\[\]"/,
    ],
    [
      'metadata that is null',
      '{"__metadata__":null}',
      0,
      /expected __metadata__ to be an object, got "null"/,
    ],
    [
      'metadata that is not a string',
      '{"__metadata__":{"a":1}}',
      0,
      /expected metadata "a" to be a string, got "1"/,
    ],
    ['a tensor that is not an object', '{"w":3}', 0, /tensor "w": expected an object of dtype, .* got "3"/],
    [
      'a tensor without a shape',
      '{"w":{"dtype":"F32","data_offsets":[0,0]}}',
      0,
      /expected an object of dtype/,
    ],
    ['a tensor with one key more', `{"w":${tensor('[0]', '[0,0],"x":1')}}`, 0, /expected an object of dtype/],
    ['a dtype that is not a string', '{"w":{"dtype":[],"shape":[],"data_offsets":[0,4]}}', 4, /got "\[\]"/],
    [
      'a shape that is not a list',
      `{"w":${tensor('4', '[0,4]')}}`,
      4,
      /expected a shape of whole numbers, got "4"/,
    ],
    [
      'a shape with a fraction',
      `{"w":${tensor('[0.5,2]', '[0,4]')}}`,
      4,
      /expected a shape of whole numbers/,
    ],
    [
      'a shape with negative sizes',
      `{"w":${tensor('[-1,-1]', '[0,4]')}}`,
      4,
      /expected a shape of whole numbers/,
    ],
    ['a shape with minus zero', `{"w":${tensor('[-0]', '[0,0]')}}`, 0, /expected a shape of whole numbers/],
    ['a shape of strings', `{"w":${tensor('["1"]', '[0,4]')}}`, 4, /expected a shape of whole numbers/],
    [
      'a size that no double holds',
      `{"w":${tensor('[9007199254740993]', '[0,4]')}}`,
      4,
      /expected a shape of whole/,
    ],
    [
      'a shape product beyond 2^53',
      `{"w":${tensor('[94906267,94906267]', '[0,4]')}}`,
      4,
      /expected 4 bytes for each/,
    ],
    [
      'a shape product beyond 2^53 times 0',
      `{"w":${tensor('[9007199254740991,3,0]', '[0,0]')}}`,
      0,
      /expected 4 bytes for each/,
    ],
    [
      'a shape product that wraps to 0',
      `{"w":${tensor('[4294967296,4294967296]', '[0,0]')}}`,
      0,
      /expected 4 bytes/,
    ],
    [
      'a shape larger than its range',
      `{"w":${tensor('[2]', '[0,4]')}}`,
      4,
      /shape "\[2\]", got data_offsets 0 to 4/,
    ],
    ['a range that runs backwards', `{"w":${tensor('[1]', '[4,0]')}}`, 4, /got data_offsets 4 to 0/],
    [
      'an F64 range for half its elements',
      `{"w":${tensor('[2]', '[0,8]', 'F64')}}`,
      8,
      /expected 8 bytes for each/,
    ],
    ['three offsets', `{"w":${tensor('[1]', '[0,4,8]')}}`, 4, /expected data_offsets of two whole numbers/],
    [
      'an offset below zero',
      `{"w":${tensor('[1]', '[-4,0]')}}`,
      4,
      /expected data_offsets of two whole numbers/,
    ],
    [
      'an offset beyond 2^53',
      `{"w":${tensor('[1]', '[1e300,1e300]')}}`,
      4,
      /expected data_offsets of two whole/,
    ],
    [
      'an offset far behind the end',
      `{"w":${tensor('[1]', '[9007199254740984,9007199254740988]')}}`,
      4,
      /a hole/,
    ],
    [
      'a range behind the end',
      `{"w":${tensor('[2]', '[0,8]')}}`,
      4,
      /expected 8 bytes .* got 4: the file was cut/,
    ],
    ['data that no tensor has', `{"w":${tensor('[1]', '[0,4]')}}`, 5, /got 5: something follows the tensors/],
    ['data without any tensor', '{}', 1, /expected 0 bytes of tensor data, got 1/],
    [
      'two tensors that overlap',
      `{"a":${tensor('[2]', '[0,8]')},"b":${tensor('[2]', '[4,12]')}}`,
      12,
      /tensor "b": expected data at byte 8, got an overlap: it begins at 4/,
    ],
    [
      'two tensors of the same range',
      `{"a":${tensor('[1]', '[0,4]')},"b":${tensor('[1]', '[0,4]')}}`,
      4,
      /tensor "b": .* got an overlap/,
    ],
    [
      'a hole between tensors',
      `{"b":${tensor('[1]', '[8,12]')},"a":${tensor('[1]', '[0,4]')}}`,
      12,
      /tensor "b": expected data at byte 4, got a hole: it begins at 8/,
    ],
    ['a hole before the first', `{"a":${tensor('[1]', '[4,8]')}}`, 8, /expected data at byte 0, got a hole/],
    [
      'the same tensor twice',
      `{"w":${tensor('[1]', '[0,4]')},"w":${tensor('[1]', '[0,4]')}}`,
      4,
      /got "w" twice/,
    ],
    [
      'the same tensor twice, once with escapes',
      `{"w":${tensor('[1]', '[0,4]')},"\\u0077" :${tensor('[1]', '[0,4]')}}`,
      4,
      /expected every name in the header once, got "w" twice/,
    ],
    ['the same metadata twice', '{"__metadata__":{"a":"1","a":"2"}}', 0, /got "a" twice/],
    ['two metadata objects', '{"__metadata__":{},"__metadata__":{}}', 0, /got "__metadata__" twice/],
    ['two shapes', `{"w":${tensor('[1],"shape":[2]', '[0,4]')}}`, 4, /got "shape" twice/],
    ['a tensor named __proto__', `{"__proto__":${tensor('[1]', '[0,4]')}}`, 4, /got "__proto__"/],
    ['metadata named __proto__', '{"__metadata__":{"__proto__":"x"}}', 0, /got "__proto__"/],
    ['__proto__ in place of the three keys', '{"w":{"__proto__":{"dtype":"F32"}}}', 0, /got "__proto__"/],
    ['a tensor nested in a tensor', '{"a":{"b":{"c":{"d":1}}}}', 0, /nested at most 3 deep/],
    [
      'a seal that is not first',
      '{"__metadata__":{"a":"b","edgeloop.sha256":"00"}}',
      0,
      /matches its checksum "00"/,
    ],
    ['a seal that is empty', '{"__metadata__":{"edgeloop.sha256":""}}', 0, /matches its checksum ""/],
    [
      'a damaged seal name',
      '{"__metadata__":{"edgeloop.sha25v":"00"}}',
      0,
      /key edgeloop.sha256, got "edgeloop.sha25v"/,
    ],
  ];

  test.each(headers)('for %s', (_what, header, dataBytes, message) => {
    expect(refusalOf(container(header, new Uint8Array(dataBytes)))).toMatch(message);
  });

  test('for a header that is not UTF-8', () => {
    const bytes = container('{"a":1}');
    bytes[10] = 0xff;
    expect(refusalOf(bytes)).toContain('expected a header in UTF-8');
  });

  test('for a header length beyond the limit or the file', () => {
    expect(refusalOf(new Uint8Array(0))).toContain('expected a safetensors file, got 0 bytes');
    expect(refusalOf(new TextEncoder().encode('PK\x03\x04 a zip file of PyTorch'))).toContain(
      'expected a safetensors header of at most 1048576 bytes, got 8800140462016121680.',
    );
    const bytes = container('{}');
    bytes[0] = 3;
    expect(refusalOf(bytes)).toContain('expected a header up to byte 11, got 10 bytes in all');
    bytes.fill(0xff, 0, 8);
    expect(refusalOf(bytes)).toContain('got 18446744073709551615');
  });

  test.each([
    ['brackets', '{"a":'.padEnd(1048576, '[')],
    ['closed brackets', `{"a":${'['.repeat(524000)}${']'.repeat(524000)}}`],
    ['objects', `${'{"a":'.repeat(170000)}1${'}'.repeat(170000)}`],
    ['one name', `{"${'n'.repeat(1048000)}":1}`],
    ['one escaped name', `{"${'\\u0000'.repeat(174000)}":1}`],
    ['numbers', `{"w":{"dtype":"F32","data_offsets":[0,4],"shape":[${'9,'.repeat(500000)}9]}}`],
    ['equal names', `{${'"a":1,'.repeat(170000)}"b":1}`],
  ])('for a mebibyte of %s, in a short sentence', (_what, header) => {
    const message = refusalOf(container(header));
    expect(message.length).toBeLessThan(500);
    expect(message).not.toMatch(/\p{Cc}/u);
  });

  test('without letting its names reach the terminal as commands', () => {
    const message = refusalOf(container('{"\\u001b[2J\\u009b1m\\u202e\\u2028":1}'));
    expect(message).toContain('tensor "�[2J�1m��"');
  });
});
