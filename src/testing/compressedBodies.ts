/**
 * Bodies as Apache's own compressors wrote them (Lz4Compressor, ZstdCompressor, ZlibCompressor of 5.5.0, level 5), and one of
 * the zstd command (1.5.4), whose second block takes the Huffman table of the first. Vectors for the readers of ours.
 */
import { Buffer } from "node:buffer";

/** Text with matches, and few distinct bytes. */
export const TEXT = Buffer.from(
  "Grüße, 世界. ".repeat(40) + Array.from({ length: 60 }, (_, i) => `line ${i * i}`).join("\n"),
);

/** Some letters far more often than others, so that Huffman codes are worth it. @param power how much more often */
function letters(count: number, power: number, between: string): Buffer {
  let text = "";
  let state = 12345;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    text += "etaoinshrdlucmfwypvbgkjqxz"[Math.floor(26 * (((state >>> 16) & 1023) / 1024) ** power)];
    if (i % 40 === 39) text += between;
  }
  return Buffer.from(text);
}

export interface CompressedBody {
  what: string;
  kind: "LZ4" | "ZSTD" | "ZLIB";
  plain: Buffer;
  bytes: Buffer;
}

const body = (what: string, kind: CompressedBody["kind"], plain: Buffer, base64: string): CompressedBody => ({
  what,
  kind,
  plain,
  bytes: Buffer.from(base64, "base64"),
});

export const COMPRESSED_BODIES: readonly CompressedBody[] = [
  body("one byte", "LZ4", Buffer.from("x"), ["BCJNGGBwcwEAAIB4AAAAAA=="].join("")),
  body(
    "text",
    "LZ4",
    TEXT,
    [
      "BCJNGGBwcy8BAAD/Akdyw7zDn2UsIOS4lueVjC4gEQD//4ZxbGluZSAwCgcAEjEHABI0BwASOQcAIjE2CAAiMjUIABMzEAATNCAAEzYvABM4PgAkMTBOABQy",
      "EgATNCMAIzE2NAAjMTlFABQyVgAkMjUSABM4JAAjMzI2ACMzNkgAFDRaACQ0NBIAEzgkACM1MjYAIzU3SAAUNloAFDYSABQ3JAAUNzYAFDhIABQ5WgAUOWwA",
      "JDEwfwAkMTCSACQxMaUAFTG4ACQxMssAJTEz3gAVNPEAFTUEARQ2YwAlMTYqARQ3PAEkMThOASQxOWABJDIwwgAlMjGEASMyMOgAMzIzMPsAMzI0MA4BJDI1",
      "ZAAlMjYUABU3KAAVODwAFDlQABUzZAAkMzF4ACQzMowAIzMzoABQIDM0ODEAAAAA",
    ].join(""),
  ),
  body(
    "letters",
    "LZ4",
    letters(1600, 3, ""),
    [
      "BCJNGGBwcxAGAADwcXF1bnRvaGV3ZXF0b29uZW5zeWVlem9ndG9laHJvb2VlZXltYWR3aGd1ZWRhaWVhaXRncnNjb3pvZ3dtZGVsZWxpc2Vlb3BlZ2V0dmVo",
      "bGVlamVzeXRoZHhlZmhlZGFlZWVuamV6ZW90ZXh0Y2R3ZWRvZWV5ZXlubWVrZWVlZWllBgDwAWVqcXlrZW56b2Fqb2V0b3ccAPABbWJlb211ZWx5anRxdGxv",
      "dmAA8GFqdXJ3YW5sam9jcWNlb25lZW54aHN0ZWV0eWVla3NyaG1tZWVlbWV0ZWVhZWVhdGthdGFkZXZlZW9oa3ZlZXR6Z2RodHZlaXRlZWV3eW9lcGVkbHJh",
      "ZWV4ZG95cXF0dGllc2FlbmVheGRpZmVldGFiSQDwT3F0d2VlY2t3ZXRlY2VzZW1pYXlhZWVyYWZ5aWtob2VkYWVzb3d5ZWVyb3llZXBhYXFoZ2ViY3R0ZWhu",
      "dmVlaXRuZWVpZ2VkZWFrZWd5YWVvZXdtdXV0dGVsb2Fkb2qKALB0ZWF3YWRmZ2VkcHAB8CJ4c2dlcHRud2VlZXVlZHBib2RyaWFhZWVkdXBlZWVxZWVpaHhl",
      "aGVldGVodHFidGFjrADxFWR0ZWl2eXNhZ3puZXVlb2Nib2VnZ3Nub3ZvaWV0emxnZXNtcm8B8BVub2V0c3RrbmtlYWVleW92anZlZWV6YWVpeHR3amVzdWVl",
      "ZW9cAPAPYXNtYWVhc2VuZXhhZ2Vlb3JlY2FrZWRhd2ZndGVyYwFAc2V1ZLAAAAQAMGtlbiwB8Bh0eGtlbmRldGVsaWt6dW1oenJqaGllZWJhc2V3aWd5Z2tv",
      "ZWV1dGMUAfAYenZwb2ZzeXZoZWVsdGNmcnpxZW9jcmFzZW96c2VlaGV0YmxlZWtuHgLwE2h0dG1zaWVlbmF0a3RnZW91ZXVodGV4ZW5tZWllcmV5aWgmAFB0",
      "ZW50Z+MAEHCpAXBwZWVoZGFrGQBRb2VmaXVpAUBlZXl0rgJRc3BleGQkAvACb2F1ZXNqbmVhdGllZnVkbGkWADBhc3NGAvAHYXJsZHVlZmZ1bHNkYXRhbWV1",
      "eGRldEYBAEUAEGFbANBhcmRlZnRlc2xlcG50UAEwZW5lpQHwA2FvZXJrZWVva3BlZWJ6cmVvY44C0GlteGVzaW53ZWNsaWXRAGBpYXhldWNJAHBwdWR0cGVl",
      "WwFAaXRhZhMAgHhpb2Vlbmh0DACQZGxlZmxhYWtpGgHwHmNlZXluZWxlb3JpeXRlaWxudGRlZGV0amVsZWhuZWZlZWNhdnR0ZWVydXRhcGADwGFoYmV2dm9k",
      "b2Zlc/YB8A9ldHJ0dGVubG5oYWxhZXR2anNsaWV4bWZleWRva3nBAFBmaHVlY+IA8ABzZWVmZG5ld2VvZXRpZXBrA/AGbW9hYWJqeGFpaWVlZ2VyanRrenRl",
      "UAAAHQPwCGVhZW1xamdvZW5zdm15b2Vjb2FzZWZpUwKwZXplaWplZm1pZW2nAVBnbGd3Z+kCgHRobGFuZW556AAwc2Vx8AAwaG513gIB1wPwBmh0ZXRtc2Vn",
      "emViZWVzcWhlZXplZdQDUHd1b2plBwLwCnF0ZXRvZXptaXRzd2VyZHRpZWpmdGFlenjsAJBsZWhydGF5ZWVCA/AHb2VwY2Vld2J2ZmVwZW9lb3dlZXZldG4B",
      "8AZ1ZXludGV0ZXRjcnd2d2V3ZWZldHIGAEBiYWVtqQHwCWdtaGV0aGJ1dGZhcmVlb2J3ZW9oamVlZDsA4Xpka2RkeWVvb2NlZWF1uQDwD3NhdXlsbGh0dHJr",
      "dXRpdmF5b2l0ZWJldmlyd2hhd6YEsGJhbmViZXBlc2J28wDQZWF4a2pldWV2dG5hbJwCYHJlZXZybgQDALgAAHkBEHSFA/AXZm50ZWFqZW9iZWVjZXFlbmZq",
      "aXp0ZW90bWVrbm9lYW5ldmVhZWQ3A/AKcWlvc2VlcGVhb2JldHBoYmV5eWVxaXppdBMCsGV0ZXFlZXNweWRpKwJQbWVuZWjBAkBlY3d61wKQZWF2cWV1cHJh",
      "DgbwA2VseXRodGRhaGVhcnRlZWx6Zr4EgGtpdGVraXZiAAAAAA==",
    ].join(""),
  ),
  body("one byte", "ZSTD", Buffer.from("x"), ["KLUv/QBYCAAAeAEAAA=="].join("")),
  body(
    "text",
    "ZSTD",
    TEXT,
    [
      "KLUv/QBYJAYAIkkaHLAnHYAkW+hSOEEtFxMge7k4UMotZZJJLMsl52LFlzkUJDF+VXdVq5omNB3T2Uo/lcklZ7Hnzl5121Kpl3nE43Pujtnw/3t1V6LZl3m/",
      "qcVf/sp8zdcgcyhIYgKEwsKAUBjAcVgSy0AQO6gRMNFs2TcwIxmtBxEkPFj1/v//G8UwaEaUk01arsVD4gczxkdRfmgtRBpMBww6Mtw4+3cF1VVqQTsH0iil",
      "rKusARdfNh1gcaOSu8HNzj0vIQfUlKiqVQEAAA==",
    ].join(""),
  ),
  body(
    "a mebibyte of zeros",
    "ZSTD",
    Buffer.alloc(1 << 20),
    ["KLUv/QBYVAAAEAAAAQD7/znAAgIAEAACABAAAgAQAAIAEAACABAAAgAQAAIAEAABAAA="].join(""),
  ),
  body(
    "letters",
    "ZSTD",
    letters(1600, 3, ""),
    [
      "KLUv/QBYdBoASl9cDBWASR1EfEr5Y8nGkzHCv6IoiqIoghLAAL8AvQDJT6TBTLfOqeQc33CBmwf0q+iRdW4D4OEciMa/ZP+SbKM5T4GegOzxIVK3g3tSBJ/0",
      "wC+AfQEZBV9jG7XH8dIojyyZjfMlf9FIjxmWPlKcfGSDxaL4+F39Sh3Win/9tqOsX3lwBEmkhQlzxEhHMvUo8dJO5YD64iR7EpjLungHMfovVuv9Ps2JCarc",
      "fJlYP5qPsGJOX5v4dEb6sJHfUDptVDLkkkFjQxGO0OyGkxhU789k5+yQy7+2Xpk9Tj7Z5Y4Nx0fJOGFUfBFth2mUjZbf+t4h4URz3ji4BvqHrvt/0JuNVmvl",
      "HrfLhxbF9aip9vyv4hPQz7clb8iC/FiYEDT9QV4T0kCWXw3qPovhDSi5IfDoEGw5yi0FSnezLpTid12cxt2+szsICZoLDGb5AyqvG46q4f38XZtIqqBx+REC",
      "yfd4sYq2nmv0M9Ue0tJRIrnaMJxAkLvXMmB7CLqmLwRY4Oi5f1YO+uM3nHlExEwChtn9yarx0JQ/DfMgGEzwBsDLcFO959zdOn+P33phOq3xMCRDGv5BjZQw",
      "gV6QcMMMzqeQts6BONS4ur1u71KUYA+PECoEgJiqX2PU8+RlhG8/BrsjvPEr0rwFpYxSI5COCc9K65a1LaRJBBk4+CMD69i3CAYvvM5poptNV0L3IZan1/vg",
      "86hATMLJ/PesT6T8C1jE7vBGjTP+A7eC6FEbpeBkobaiUFE8yNkCvFHkF+zE33j9HruMU7vChuG3/qwbxa2waFpygrAzieHqWwCCiouKTFdY0pfhB01PX/pf",
      "Q2a4DwSXJPix57X6FplntD9u0YKO3xs4RgcSN74lOv5lxpEXnqtYNe+CCGF9HDyQE3iXMMvb7/nFp8WQZ/gm4SqymygURIC2MfBC4FcJnoQhZOCifIiguoK1",
      "J6XnsDn8IPNnTGGW3ZsnTp4A+QyFOuD0owZEr0Zg4YR14eQESVjQe9cTOvJJnhsLCJB8YJyP+A/LzulxZRkrEKMadtKK1HL2Hit3Il3yyL/8OdoHDwADjAzV",
      "rrxYc2ol4T2Jka24o10ahRyExCfkIm1nTSIQBDoh99lW0xgzQki5Us0EXEAKAQAA",
    ].join(""),
  ),
  body(
    "letters in two blocks",
    "ZSTD",
    letters(2600, 4, " and so on "),
    [
      "KLUv/WTzCywqAGp4FA8WcEXqwH+Ihf4lG0/Gxmyr////4uo/hOkA5wDvAJ/8ykA0fQ8yOL/p2PpQyWOR5jqOS6COxuR4NQX//QbqR+D17oDDD/xI8V4J5LUc",
      "+VjJRd7GeOcf+lr1o4K1e9Nx0LdBJdePiA8ndORT36fWfNcZbEbdNxXZa/Qfw74t/BO/gSrQ83N8IdCqAt+n3shNTVnvWH7FrL7y+5r7/Td+xtzL4Nv/Wkl+",
      "diSgDip7HBpWXqk68JDUhdEJ9ubT71BcctOEYfw3G9lO33dT6MD35CD/qpdx4LlTPrxyK29O/YXF6sea6VK2nhk79l0AXALyAZBDgHHt1Uh/0bnxo8u3zBN7",
      "4LPDsxACTFl5jyHA7sbrXIKHt3nEZCBaZP/I+L2d7zy6cOeRU9CXNlgyFitQvkVdqvzdawNfFeVjpV64f6Xoz7kuHl79TpXQ4epMz3aPwVXG6rn8YvLp6N48",
      "8iuQT8bHHBW7ZR4wMLgz/CXEI6Zv3O2PnLfviKzyz891FSg2et9SyDgXT7nOfq0LhYzxnsMatYGR1c8TwnNQtR4ZfcKP87H9xlme/Cou+rG5+cs4zSvi3efS",
      "s451IXkGWr1TUp4mZfkcXTwGJhlsr4nHNbhlsSJB9b88SPKgD73+MNrvYLTrH03OVy9bfZQP5wQD6hs4XOD+7VhSRlt1F8E2Pyyj+BEddKznlKM6Rau5RC2J",
      "FsGDFahLhbPHdX+l8i5yeJPiImWUFpyZ+Rtm/lJun1cnFDSPQdWfpHj1vU7qT6sOKRaIl4M+Z6+lfOFxQeHUJlx6Anv6VQz8+e7E2ZvB+AsORi6MnuhDP40P",
      "8ik/dY5cHJhAJ3Jk4jx+o3U1h8rHY9MKXhj3S6lUnEUftTf1zFsuBtfP0Xc1Loj1yxSfXeLzcX9uN6U9dBspHdlQiPYMuaf+1sX3wNLPMP7cJ0djEQ4U55V/",
      "WVhPvBwv41akkKc5zqHMb9jIjAc8wfNCdFNMqENeBOL63dvdolfGbtNn2W8rwo/KXY23J5bfLKNHDpdm+ewS9WXOzHPHbeFyjXD+apc0uONvpTA3P5VdeOiL",
      "g1M9cSD8Rtlz3y4iEOQZN+v9JHj2kf5+re9HZdWNA18JFokYBh+T28cLqV85TFW0Q/hcYrlHiDrnA4v5F9X++JHHJ2ZJzctAsCvLnT7ZvxI5YOvT+TiMZA6j",
      "8tDVC82ezgf+bh/MWPFHJ4n4gij9AZXKVz5a50E0l0IfTCBD8rH9iLn/vLtTLoRPaqWk3OyOK+ja+jdxCAEV19SoOMco5BNu9pAEX2CeQoCcqFEYphAiCBlj",
      "jJmZEanRMUACQkiRMvMQejSBhOoc34fYQmh4764jIcvZzE9yBpCbbP1jbtmPztEFaMycsYTcHziTC2XoRQiMM69pBmifBj2CCFQybxl5yFDJO1lLZiuM4Mt7",
      "tFyuvSY+8qSzFtLkRLxyeoSQgGbwiPstgASzz5kDmNzoGAUs5eyGQRucJXZ2hgpyAZMKnyUDEWD+zxfFiIZ0lQYRQC4m/T1AJJF/cg7gDiu6YJP62SqLiG2b",
      "B70mKgsU6DbF0DEACzUcn/6KC0EIQ3mStcokJIWgs5CGacvKC+qB/Y14ZMoVE2POl2OI2eiaBFFo2GWIC4WJ2NQLdy7jSJoMudHojDPXTLXoqXPMWrOwV0Eg",
      "Z7sLG4yGnEZxKlDPE0B+n7ANANDbbJ1W+XMWAMTv8y1Fw9kMvBIVz1UrWBAu2gy9ZVRHl3SzBeOymezl1Ye9Z1rR869XPCCQ05uKSA2GrI/DJFjBMQv+7gHR",
      "NigUFB612aGqFQIAM8QIDXVM0O4sSXugisDnFuSEf8/qhidEKxmQka8771IZdus0iVsL/MkCctY2fYZk80ptmaQrs+iCUK3sEoeUpCQj06ZHPQ==",
    ].join(""),
  ),
  body(
    "text",
    "ZLIB",
    TEXT,
    [
      "eF7tkbsNAkEMRHOquAIQWn/W662ASi5AQgTUQQopbRCQXStItAFiPa6B4CLr5sbP9uz+vDyX+7ydXo/b+3rZTftVWIX/E46H0zyVza/QKDpKD9FG5TqqxLfG",
      "fwu7RzcV0BiKKlBgdkBB5QrFwyOsGIi9QFaF4uGpHF21BcdANigNnoYuB6eD3C2vwHgq2IgIS1LuTYxTSPI6zYNrZmAZi2VSDdmRayaDfLlkNpRvwCV8LCV6",
      "WUvwuGIGW2otfZ69HTzJGUKY+80dLyDYT9TpA8z49Wc=",
    ].join(""),
  ),
];
