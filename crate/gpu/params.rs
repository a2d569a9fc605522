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
        pub(in crate::gpu) struct $name {
            $(pub $member: $type,)+
        }

        impl $name {
            pub const LAYOUT: $crate::gpu::params::Layout = $crate::gpu::params::Layout {
                size: size_of::<$name>(),
                members: &[$((stringify!($member), std::mem::offset_of!($name, $member)),)+],
            };
        }
    )+};
}
pub(super) use params;
