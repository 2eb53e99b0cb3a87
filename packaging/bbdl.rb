# The Homebrew formula. A release fills in the address and the checksum: see .github/workflows/release.yml.
class Bbdl < Formula
  desc "Download Medicare claims from CMS's Blue Button API and keep them up to date"
  homepage "@REPOSITORY@"
  url "@REPOSITORY@/archive/refs/tags/@TAG@.tar.gz"
  sha256 "@SOURCE_SHA256@"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "rust" => :build

  def install
    system "cargo", "install", "--profile", "dist", *std_cargo_args
    man1.install Dir["docs/man/*.1"]
    bash_completion.install "completions/bbdl.bash" => "bbdl"
    zsh_completion.install "completions/_bbdl"
    fish_completion.install "completions/bbdl.fish"
  end

  test do
    system bin/"bbdl", "demo", "--out", testpath/"demo"
    system bin/"bbdl", "verify", testpath/"demo"
  end
end
