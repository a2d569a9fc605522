//! The parameters of the shaders: binding 0 of each, the struct `Params` of its file, member for
//! member.

/// Where the members of a parameter struct lie, for the test that compares them with the shader's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bytes.
    pub size: usize,
    /// Name and offset of each member, in order.
    pub members: &'static [(&'static str, usize)],
}

macro_rules! params {
    ($($(#[$doc:meta])* $name:ident { $($member:ident: $type:ty),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
        pub(super) struct $name {
            $(pub $member: $type,)+
        }

        impl $name {
            pub const LAYOUT: Layout = Layout {
                size: size_of::<$name>(),
                members: &[$((stringify!($member), std::mem::offset_of!($name, $member)),)+],
            };
        }
    )+};
}
params! {
    /// Of `embed.wgsl`.
    Embed { first_row: u32, part_rows: u32 }
    /// Of `norm.wgsl`.
    Norm { first_row: u32, width4: u32, eps: f32 }
    /// Of `matvec.wgsl`.
    Matvec { rows: u32, first_row: u32, part_rows: u32, add: u32, x_row: u32, eps: f32 }
    /// Of `gated.wgsl`.
    Gated { width: u32, x_row: u32, eps: f32 }
    /// Of `matmul.wgsl`.
    Matmul { rows: u32, first_row: u32, part_rows: u32, tokens: u32, add: u32 }
    /// Of `swiglu.wgsl`.
    Swiglu { width: u32 }
    /// Of `head_norm.wgsl`.
    HeadNorm { n_heads: u32, n_kv_heads: u32, width4: u32, eps: f32 }
    /// Of `rope.wgsl`.
    Rope {
        n_heads: u32, n_kv_heads: u32, head_dim: u32, rotary_dim: u32, first_head: u32, heads: u32,
        first_row: u32
    }
    /// Of `attend.wgsl`.
    Attend {
        n_heads: u32, n_kv_heads: u32, first_head: u32, heads: u32, window: u32, scale: f32,
        first_row: u32, rows: u32
    }
    /// Of `attend_token.wgsl`.
    AttendToken {
        n_heads: u32, n_kv_heads: u32, rotary_dim: u32, first_head: u32, heads: u32,
        window: u32, scale: f32, first_row: u32
    }
    /// Of `seal.wgsl`.
    Seal { heads: u32, fours: u32, first_row: u32, rows: u32 }
    /// Of `merge.wgsl`.
    Merge { first_head: u32 }
    /// Of `argmax.wgsl` and `argmax_of_runs.wgsl`.
    Argmax { width: u32 }
    /// Of `sample_prepare.wgsl` and `sample.wgsl`.
    Sample { width: u32 }
    /// Of `log_probs.wgsl` and `log_probs_of_runs.wgsl`.
    LogProbs { width: u32, asked: u32, top: u32 }
    /// Of `peak_reads.wgsl`, `peak_floats.wgsl` and `peak_dots.wgsl`.
    Peak { rounds: u32 }
}
